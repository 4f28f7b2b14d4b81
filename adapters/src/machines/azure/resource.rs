//! What a machine is made of in Azure: names, paths and the versions of the interface for each kind.

use std::fmt;

use common::name::NodeName;

use super::settings::AzureSettings;

const GROUPS: &str = "2021-04-01";
const NETWORK: &str = "2024-05-01";
const COMPUTE: &str = "2024-07-01";
const DISKS: &str = "2024-03-02";

/// One resource: its id, which is its path as well, and the version of its interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) id: String,
    pub(super) version: &'static str,
}

impl Resource {
    pub(super) fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What all machines share.
impl AzureSettings {
    pub(super) fn group(&self) -> Resource {
        let (subscription, group) = (&self.subscription, &self.resource_group);
        let id = format!("/subscriptions/{subscription}/resourceGroups/{group}");
        Resource { id, version: GROUPS }
    }

    fn within(&self, kind: &str, name: &str, version: &'static str) -> Resource {
        Resource { id: format!("{}/providers/{kind}/{name}", self.group().id), version }
    }

    pub(super) fn virtual_network(&self) -> Resource {
        self.within("Microsoft.Network/virtualNetworks", &self.network.name, NETWORK)
    }

    pub(super) fn subnet(&self) -> Resource {
        let Resource { id, version } = self.virtual_network();
        Resource { id: format!("{id}/subnets/{}", self.network.subnet), version }
    }

    /// All virtual machines of the group.
    pub(super) fn computers(&self) -> Resource {
        let id = format!("{}/providers/Microsoft.Compute/virtualMachines", self.group().id);
        Resource { id, version: COMPUTE }
    }
}

/// What is one machine's, named after it; the names of its address and its interface are document 000's.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) computer: Resource,
    pub(super) disk: Resource,
    pub(super) interface: Resource,
    pub(super) address: Resource,
    pub(super) rules: Resource,
    /// The interface's only configuration.
    pub(super) configuration: String,
}

impl Parts {
    pub(super) fn of(name: &NodeName, settings: &AzureSettings) -> Self {
        let network = |kind: &str, part: &str| {
            let kind = format!("Microsoft.Network/{kind}");
            settings.within(&kind, &format!("{name}_{part}"), NETWORK)
        };
        let kind = "Microsoft.Compute/virtualMachines";
        Parts {
            computer: settings.within(kind, name.as_str(), COMPUTE),
            disk: settings.within("Microsoft.Compute/disks", &format!("{name}_disk"), DISKS),
            interface: network("networkInterfaces", "nic"),
            address: network("publicIPAddresses", "ip_name"),
            rules: network("networkSecurityGroups", "nsg"),
            configuration: format!("{name}_ip_config_name"),
        }
    }
}
