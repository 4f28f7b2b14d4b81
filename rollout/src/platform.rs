//! The platform as it is described: which machines, what stands on which, from which images. Made from
//! `platform.toml` by the bootstrapper, kept as JSON by the lifecycle manager; both plan from it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::digest::{Digest, ImageRef};
use common::name::NodeName;
use common::port::host::{Credential, Gate, HostKey};
use common::port::machines::{MachineId, Shape};
use common::port::nodes::Agent;
use common::port::share;
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

/// Where every node's agent listens.
pub const AGENT_PORT: u16 = 7443;

/// A whole platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    pub schema: u32,
    /// One host label: two platforms of one operator differ in it.
    pub name: NodeName,
    /// By name, in the order of the file.
    pub machines: Vec<PlannedMachine>,
    pub placement: Placement,
    /// What is known of each image; filled in while they are brought.
    pub images: BTreeMap<Component, Image>,
    /// Ranges that apps may not reach: the machines' own network above all.
    pub denied_networks: Vec<String>,
    /// On which addresses of its machine the app manager listens for people: `127.0.0.1`, `0.0.0.0` or one of them.
    pub door: IpAddr,
    /// The same of the edge, for visitors of apps.
    pub edge_bind: IpAddr,
    /// The address in the URLs of apps; none for that of the edge's machine, or for the one that moves.
    pub edge_advertised: Option<IpAddr>,
    /// What else is said of the edge.
    #[serde(default, skip_serializing_if = "EdgeSettings::is_plain")]
    pub edge: EdgeSettings,
    /// Who makes certificates of apps' host names that were given none; nobody without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// How further local machines are made, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalPlace>,
    /// The same of machines in Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzurePlace>,
    /// The services that are built on their machines of code on a share; all others run from [`Component::Platform`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub code: BTreeMap<ServiceName, share::Code>,
    /// How many machines there may be when apps need another; none is ever added without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_machines: Option<u16>,
    /// How long one that was added so is kept while no app is on it: 0 for good; lifecycle managers know a usual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u32>,
}

/// Where local machines are made, as far as it is the same wherever who makes them stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalPlace {
    /// The image of a bare machine.
    pub image: String,
    /// The addresses of their network.
    pub range: String,
    /// The name servers that containers on them ask.
    pub resolvers: Vec<IpAddr>,
    /// Whether somebody named them. Else they are those of the computer that applied.
    #[serde(default)]
    pub are_resolvers_named: bool,
}

/// Where machines are made in Azure, in Azure's words. Who asks is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzurePlace {
    pub subscription: String,
    pub resource_group: String,
    pub location: String,
    pub network: String,
    pub network_range: String,
    pub subnet: String,
    pub subnet_range: String,
    /// As whom one signs in.
    pub user: String,
    /// From where people sign in.
    pub operators: Vec<String>,
    pub tags: BTreeMap<String, String>,
}

/// A public authority, asked by ACME. Whoever names one agrees to its terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The URL of its directory.
    pub directory: String,
    /// The e-mail addresses that it may write to.
    pub contacts: Vec<String>,
    /// PEM: the certificates that it is trusted by; none for those that everybody trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted: Option<String>,
}

/// What is said of the edge, or of a pair of them, that most platforms do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeSettings {
    /// The address that one of two edges has, and the other takes when that one ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// Where it listens for host names; none for the usual port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
    /// The same over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
    /// The port of host names over TLS as visitors see it, where something before the edge has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_announced: Option<u16>,
    /// How many requests of one address may be under way; 0 for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_address: Option<u16>,
}

impl EdgeSettings {
    fn is_plain(&self) -> bool {
        *self == EdgeSettings::default()
    }
}

impl Platform {
    pub fn machine(&self, name: &NodeName) -> Option<&PlannedMachine> {
        self.machines.iter().find(|machine| machine.name == *name)
    }

    /// Where other machines reach it; none before that is known.
    pub fn address(&self, name: &NodeName) -> Option<IpAddr> {
        self.machine(name).and_then(PlannedMachine::reached_at)
    }

    /// Its agent; none before its address is known.
    pub fn agent(&self, name: &NodeName) -> Option<Agent> {
        let address = SocketAddr::new(self.address(name)?, AGENT_PORT);
        Some(Agent { node: name.clone(), address })
    }

    /// The first machine: it holds the authority and the secrets.
    pub fn seed(&self) -> Option<&PlannedMachine> {
        self.machines.first()
    }

    /// The same where lifecycle managers and platform initializers run from this image, if from another one than the platform's.
    #[must_use]
    pub fn on(mut self, base: Option<Digest>) -> Self {
        self.images.remove(&Component::Base);
        self.images.extend(base.map(|id| (Component::Base, Image { id, named: None })));
        self
    }

    /// What a machine gets by copying, because there is no registry yet: the program everywhere, all that the registry
    /// should hold where that stands, and the registry's own image wherever it may be made again. Sorted.
    pub fn carried(&self, name: &NodeName) -> Vec<(Component, &Image)> {
        let everything = *name == self.placement.registry;
        let is_heir = self.placement.lifecycle_manager.contains(name);
        let wanted = |component: Component| match component {
            Component::Platform => true,
            Component::Base => is_heir,
            Component::Registry => everything || is_heir,
            Component::KafkaZookeeper
            | Component::Edge
            | Component::Address
            | Component::BuilderPython
            | Component::RuntimePython
            | Component::BuilderNode
            | Component::RuntimeNode
            | Component::RuntimeStatic => everything,
        };
        let images = self.images.iter().map(|(component, image)| (*component, image));
        images.filter(|(component, _)| wanted(*component)).collect()
    }
}

/// A machine, and how one gets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedMachine {
    pub name: NodeName,
    pub shape: Shape,
    /// For given machines from the file, for made ones from their backend, once they are there.
    pub gate: Option<Gate>,
    /// Where other machines reach it, where that is not where one signs in.
    pub address: Option<IpAddr>,
    pub user: String,
    /// Where the credential is on the computer that acts; never what it is.
    pub credential: Credential,
    /// Which machine was seen last: what is pinned is its key, and not that of one which is made in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MachineId>,
    /// Pinned: nothing is sent to a machine with another one.
    pub host_key: Option<HostKey>,
}

impl PlannedMachine {
    /// Where other machines reach it: its own address, or where one signs in if that is one.
    pub fn reached_at(&self) -> Option<IpAddr> {
        let gate = || self.gate.as_ref().and_then(|gate| gate.address.parse().ok());
        self.address.or_else(gate)
    }

    /// Whether one signs in elsewhere than where other machines reach it: then only the machine itself is known to reach
    /// that.
    pub fn is_behind_its_gate(&self) -> bool {
        let inside = self.address.map(|address| address.to_string());
        let gate = self.gate.as_ref().map(|gate| &gate.address);
        inside.is_some() && gate.is_some() && inside.as_ref() != gate
    }
}

/// What stands where. All names are of [`Platform::machines`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// 1 or 3.
    pub zookeeper: Vec<NodeName>,
    /// 1 or 3.
    pub kafka: Vec<NodeName>,
    pub registry: NodeName,
    /// The edge and the load balancer, which share its table: 1, or a pair.
    #[serde(with = "one_or_more")]
    pub edge: Vec<NodeName>,
    /// 2 or more, unless there is but one machine.
    pub lifecycle_manager: Vec<NodeName>,
}

/// What could be one only once is written as ever where it is one.
mod one_or_more {
    use common::name::NodeName;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(NodeName),
        More(Vec<NodeName>),
    }

    pub(super) fn serialize<S: Serializer>(
        names: &[NodeName],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match names {
            [one] => one.serialize(serializer),
            more => more.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<NodeName>, D::Error> {
        Ok(match Either::deserialize(deserializer)? {
            Either::One(name) => vec![name],
            Either::More(names) => names,
        })
    }
}

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// The program: every service and the node agent.
    Platform,
    /// Another version of it, for lifecycle managers and platform initializers. It is given, as settings of services are, and
    /// so never in a description.
    Base,
    KafkaZookeeper,
    Registry,
    Edge,
    /// What moves an address between two edges.
    Address,
    BuilderPython,
    RuntimePython,
    BuilderNode,
    RuntimeNode,
    RuntimeStatic,
}

impl Component {
    /// What it is called in the platform's registry.
    pub fn repository(self) -> &'static str {
        match self {
            Component::Platform => "avishkar/platform",
            Component::Base => "avishkar/base",
            Component::KafkaZookeeper => "avishkar/kafka-zookeeper",
            Component::Registry => "avishkar/registry",
            Component::Edge => "avishkar/edge",
            Component::Address => "avishkar/address",
            Component::BuilderPython => "avishkar/builder-python",
            Component::RuntimePython => "avishkar/runtime-python",
            Component::BuilderNode => "avishkar/builder-node",
            Component::RuntimeNode => "avishkar/runtime-node",
            Component::RuntimeStatic => "avishkar/runtime-static",
        }
    }
}

/// An image of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The engine's id of it, the same on every machine.
    pub id: Digest,
    /// Its name in the platform's own registry, once it was pushed there.
    pub named: Option<ImageRef>,
}
