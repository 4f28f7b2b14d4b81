//! [`Site`]: on which node of which platform, and what every part has in common.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::nodes::Agent;
use common::port::part::{PartImage, PartSpec, PartVolume, VolumeSource};

use crate::platform::{Component, Platform};

/// Whom the parts' processes belong to.
pub const OWNER: u32 = 10001;
const MIB: u64 = 1 << 20;
/// ZooKeeper's port for clients, Kafka's, and the registry's, each on its node's own address.
pub const ZOOKEEPER: u16 = 2181;
pub const KAFKA: u16 = 9092;
pub const REGISTRY: u16 = 5000;

/// Where a part will be, and which of its kind by time.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub platform: &'a Platform,
    pub node: &'a NodeName,
    /// The caller's: a node replaces a part by one of a higher generation only.
    pub generation: Generation,
}

/// What the description of the platform lacks for a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incomplete {
    #[error("where other machines reach {0} is not known")]
    NoAddress(NodeName),
    #[error("{part} is not placed on {node}")]
    NotPlaced { part: &'static str, node: NodeName },
    #[error("the image {0} is not known")]
    NoImage(&'static str),
    #[error("the image {0} is not in the registry yet")]
    NotPushed(&'static str),
    #[error("{0} is no part of a platform")]
    NoPart(&'static str),
}

impl Site<'_> {
    pub(super) fn address(&self) -> Result<IpAddr, Incomplete> {
        self.address_of(self.node)
    }

    pub(super) fn address_of(&self, node: &NodeName) -> Result<IpAddr, Incomplete> {
        self.platform.address(node).ok_or_else(|| Incomplete::NoAddress(node.clone()))
    }

    /// Where a port of this node is reached.
    pub(super) fn at(&self, port: u16) -> Result<SocketAddr, Incomplete> {
        Ok(SocketAddr::new(self.address()?, port))
    }

    /// `ip:port` of several nodes, separated by commas, in the order of the placement.
    pub(super) fn addresses(&self, nodes: &[NodeName], port: u16) -> Result<String, Incomplete> {
        let at = |node| Ok(SocketAddr::new(self.address_of(node)?, port).to_string());
        let all: Result<Vec<String>, Incomplete> = nodes.iter().map(at).collect();
        Ok(all?.join(","))
    }

    /// The number of this node among those where a part is placed, from 1: it stays the same as long as the placement.
    pub(super) fn number(
        &self,
        part: &'static str,
        nodes: &[NodeName],
    ) -> Result<usize, Incomplete> {
        let found = nodes.iter().position(|node| node == self.node);
        let not_placed = || Incomplete::NotPlaced { part, node: self.node.clone() };
        found.map(|index| index + 1).ok_or_else(not_placed)
    }

    /// The agents of those that have one of a kind, where there are enough of them that most are not all.
    pub(super) fn ensemble(&self, nodes: &[NodeName]) -> Result<Vec<Agent>, Incomplete> {
        if nodes.len() <= 2 {
            return Ok(Vec::new());
        }
        let agent = |node| {
            let found = self.platform.agent(node);
            found.ok_or_else(|| Incomplete::NoAddress(node.clone()))
        };
        nodes.iter().map(agent).collect()
    }

    /// By its id: only where it was copied to.
    pub(super) fn by_id(&self, component: Component) -> Result<PartImage, Incomplete> {
        let image = self.platform.images.get(&component);
        let image = image.ok_or_else(|| Incomplete::NoImage(component.repository()))?;
        Ok(PartImage::Id(image.id.clone()))
    }

    /// By its name in the registry.
    pub(super) fn named(&self, component: Component) -> Result<PartImage, Incomplete> {
        let image = self.platform.images.get(&component);
        let image = image.ok_or_else(|| Incomplete::NoImage(component.repository()))?;
        let named =
            image.named.clone().ok_or_else(|| Incomplete::NotPushed(component.repository()))?;
        Ok(PartImage::Named(named))
    }

    /// A part without anything of its own yet.
    pub(super) fn part(&self, name: &str, image: PartImage, memory_mib: u64) -> PartSpec {
        PartSpec {
            name: part_name(name),
            generation: self.generation,
            image,
            command: Vec::new(),
            environment: BTreeMap::new(),
            files: Vec::new(),
            volumes: Vec::new(),
            user: OWNER,
            memory_bytes: memory_mib * MIB,
            processes: 256,
            health: None,
            stop_seconds: 20,
            rights: Vec::new(),
        }
    }
}

/// So long a ZooKeeper or a Kafka may be silent after its start: after a power cut it reads all it has written.
pub(super) const ENSEMBLE_STARTS: u32 = 15 * 60;

/// When one of its kind is ended that hangs: by its number, which begins with 1.
pub(super) fn turn(number: usize) -> u16 {
    u16::try_from(number.saturating_sub(1)).unwrap_or(u16::MAX)
}

pub(super) fn part_name(name: &str) -> PartName {
    name.parse().expect("names of parts are host labels")
}

/// A folder of one part alone.
pub(super) fn own(folder: &str, path: &str) -> PartVolume {
    let from = VolumeSource::Own(part_name(folder));
    PartVolume { from, path: path.to_owned(), read_only: false }
}
