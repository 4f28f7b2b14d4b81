//! The ways to the machines of the description, and to images for those that have none. A way that is missing costs no
//! more than itself: its machines are looked after over SSH.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use adapters::machines::azure::{AzureSettings, Endpoints, Network, ServicePrincipal, SignIn};
use adapters::{
    AzureMachines, DockerImages, GivenMachine, GivenMachines, LocalMachines, LocalSettings,
};
use anyhow::Context as _;
use async_trait::async_trait;
use common::digest::Digest;
use common::port::host::{Access, ChunkStream};
use common::port::images;
use common::port::machines::Shape;
use common::port::{Hosts, Images, Machines};
use rollout::platform::{AzurePlace, LocalPlace, PlannedMachine, Platform};

use super::RawPlatform;

/// By the kind of their machines.
pub(super) type Backends = BTreeMap<&'static str, Arc<dyn Machines>>;

/// Those of the description's machines that this process has a way to.
pub(super) fn backends(
    raw: &RawPlatform,
    platform: Option<&Platform>,
    hosts: &Arc<dyn Hosts>,
    principal: Option<&str>,
) -> Backends {
    let mut backends = Backends::new();
    let Some(platform) = platform else { return backends };
    let given: Vec<GivenMachine> = platform.machines.iter().filter_map(given).collect();
    if !given.is_empty() {
        let given = GivenMachines::new(Arc::clone(hosts), given);
        backends.insert(Shape::Given.kind(), Arc::new(given));
    }
    let name = platform.name.as_str();
    if let Some(place) = &platform.local {
        take(&mut backends, "local", local(raw, place, platform));
    }
    if let Some(place) = &platform.azure {
        take(&mut backends, "azure", azure(principal, place, name));
    }
    backends
}

fn take<M: Machines + 'static>(
    backends: &mut Backends,
    kind: &'static str,
    made: anyhow::Result<M>,
) {
    match made {
        Ok(made) => drop(backends.insert(kind, Arc::new(made))),
        Err(err) => {
            let error: &(dyn std::error::Error + 'static) = err.as_ref();
            tracing::warn!(
                error,
                kind,
                "machines cannot be reached through what they come from; they are looked after over SSH only"
            );
        }
    }
}

fn given(machine: &PlannedMachine) -> Option<GivenMachine> {
    if machine.shape != Shape::Given {
        return None;
    }
    let access = Access {
        at: machine.gate.clone()?,
        user: machine.user.clone(),
        credential: machine.credential.clone(),
        host_key: machine.host_key.clone()?,
    };
    Some(GivenMachine { name: machine.name.clone(), access })
}

fn local(
    raw: &RawPlatform,
    place: &LocalPlace,
    platform: &Platform,
) -> anyhow::Result<LocalMachines> {
    let settings = LocalSettings {
        socket: raw.machines_socket.clone(),
        image: place.image.clone(),
        platform: platform.name.to_string(),
        kept: platform.edge.address,
        range: place.range.parse().context("the range of local machines is none")?,
        resolvers: place.resolvers.clone(),
    };
    Ok(LocalMachines::new(settings)?)
}

/// From inside, one signs in by the address of the machines' own network.
fn azure(
    principal: Option<&str>,
    place: &AzurePlace,
    platform: &str,
) -> anyhow::Result<AzureMachines> {
    let principal = principal.and_then(ServicePrincipal::from_printed);
    let principal =
        principal.context("there is no service principal with appId, password and tenant")?;
    let range = |text: &str| text.parse().context("a range of the machines' network is none");
    let operators: Result<_, _> = place.operators.iter().map(|range| range.parse()).collect();
    let settings = AzureSettings {
        endpoints: Endpoints::default(),
        subscription: place.subscription.clone(),
        resource_group: place.resource_group.clone(),
        location: place.location.clone(),
        network: Network {
            name: place.network.clone(),
            prefix: range(&place.network_range)?,
            subnet: place.subnet.clone(),
            subnet_prefix: range(&place.subnet_range)?,
        },
        platform: platform.to_owned(),
        user: place.user.clone(),
        sign_in: SignIn::Private,
        operators: operators.context("a range of operators is none")?,
        tags: place.tags.clone(),
        pace: AzureSettings::PACE,
    };
    Ok(AzureMachines::connect(settings, principal)?)
}

/// What is at hand here, beside what nodes have: the images of the engine that makes local machines.
pub(super) fn images(socket: &Path) -> Arc<dyn Images> {
    match DockerImages::new(socket) {
        Ok(images) => Arc::new(images),
        Err(_) => Arc::new(NoImages),
    }
}

/// Where no engine is at hand.
#[derive(Debug)]
struct NoImages;

#[async_trait]
impl Images for NoImages {
    async fn find(&self, _: &str) -> Result<Option<Digest>, images::Error> {
        Ok(None)
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, images::Error> {
        let names: Vec<String> = images.iter().map(ToString::to_string).collect();
        Err(images::Error::NotFound(names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use adapters::SshHosts;
    use chassis::system::SystemEntropy;

    use super::*;

    const PLATFORM: &str = r#"{
        "schema": 1, "name": "fleet", "images": {}, "denied_networks": [],
        "machines": [
            {"name": "node-1", "shape": {"kind": "azure"}, "user": "ops", "credential": {"key_file": "/key"},
             "gate": null, "address": null, "host_key": null}
        ],
        "placement": {"zookeeper": ["node-1"], "kafka": ["node-1"], "registry": "node-1", "edge": "node-1",
            "lifecycle_manager": ["node-1"]},
        "door": "127.0.0.1", "edge_bind": "0.0.0.0", "edge_advertised": null,
        "azure": {"subscription": "00000000-0000-0000-0000-000000000000", "resource_group": "fleet",
            "location": "westeurope", "network": "fleet", "network_range": "10.0.0.0/16", "subnet": "machines",
            "subnet_range": "10.0.0.0/24", "user": "ops", "operators": [], "tags": {}}
    }"#;

    #[test]
    fn machines_of_azure_have_their_backend_where_the_principal_can_be_read_and_none_else() {
        let platform: Platform = serde_json::from_str(PLATFORM).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let raw = RawPlatform {
            machines_socket: folder.path().join("machines.sock"),
            description: PathBuf::new(),
            authority: PathBuf::new(),
            token_secret: PathBuf::new(),
            ssh_key: PathBuf::new(),
            shares: PathBuf::new(),
            azure_principal: PathBuf::new(),
            configured: PathBuf::new(),
            given: PathBuf::new(),
            credentials: PathBuf::new(),
        };
        let hosts: Arc<dyn Hosts> = Arc::new(SshHosts::new(Arc::new(SystemEntropy)));
        let kinds = |principal| {
            let found = backends(&raw, Some(&platform), &hosts, principal);
            found.into_keys().collect::<Vec<_>>()
        };
        assert!(kinds(None).is_empty(), "they are looked after over SSH");
        assert!(kinds(Some("{}")).is_empty());
        assert_eq!(kinds(Some(r#"{"appId":"a","password":"b","tenant":"c"}"#)), ["azure"]);
    }
}
