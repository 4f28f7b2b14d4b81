//! What stands on a node from the start, and is not stopped with the platform's services.

use std::fmt;

use common::name::{NodeName, PartName};
use common::service::ServiceName;

use super::service::listeners;
use super::site::{KAFKA, REGISTRY, ZOOKEEPER, part_name};
use super::{address, edge, kafka, zookeeper};
use crate::platform::Platform;

/// A part that the platform itself stands on. In the order in which they are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BasePart {
    Registry,
    ZooKeeper,
    Kafka,
    Edge,
    /// The one that moves between two edges.
    Address,
    LifecycleManager,
    PlatformInitializer,
}

impl BasePart {
    pub const ALL: [BasePart; 7] = [
        BasePart::Registry,
        BasePart::ZooKeeper,
        BasePart::Kafka,
        BasePart::Edge,
        BasePart::Address,
        BasePart::LifecycleManager,
        BasePart::PlatformInitializer,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            BasePart::Registry => "registry",
            BasePart::ZooKeeper => "zookeeper",
            BasePart::Kafka => "kafka",
            BasePart::Edge => "edge",
            BasePart::Address => address::NAME,
            BasePart::LifecycleManager => ServiceName::LifecycleManager.as_str(),
            BasePart::PlatformInitializer => ServiceName::PlatformInitializer.as_str(),
        }
    }

    pub fn name(self) -> PartName {
        part_name(self.as_str())
    }

    /// Where it should be, in order.
    pub fn nodes(self, platform: &Platform) -> &[NodeName] {
        let placement = &platform.placement;
        match self {
            BasePart::Registry => std::slice::from_ref(&placement.registry),
            BasePart::ZooKeeper => &placement.zookeeper,
            BasePart::Kafka => &placement.kafka,
            BasePart::Edge => &placement.edge,
            BasePart::Address if platform.edge.address.is_some() => &placement.edge,
            BasePart::Address => &[],
            BasePart::LifecycleManager | BasePart::PlatformInitializer => {
                &placement.lifecycle_manager
            }
        }
    }

    /// Where it listens on its node.
    pub fn ports(self, platform: &Platform) -> Vec<u16> {
        let of_service = |service| {
            let found = listeners(service).map(|ports| vec![ports.plain, ports.mutual_tls]);
            found.unwrap_or_default()
        };
        match self {
            BasePart::Registry => vec![REGISTRY],
            BasePart::ZooKeeper => vec![ZOOKEEPER, zookeeper::FOLLOW, zookeeper::ELECT],
            BasePart::Kafka => vec![KAFKA, kafka::CONTROLLER],
            BasePart::Edge => vec![edge::host_port(platform), edge::tls_port(platform)],
            BasePart::Address => Vec::new(),
            BasePart::LifecycleManager => of_service(ServiceName::LifecycleManager),
            BasePart::PlatformInitializer => of_service(ServiceName::PlatformInitializer),
        }
    }
}

impl fmt::Display for BasePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The base parts of one node, in the order in which they are needed.
pub fn base_parts(platform: &Platform, node: &NodeName) -> Vec<BasePart> {
    let here = |part: &BasePart| part.nodes(platform).contains(node);
    BasePart::ALL.into_iter().filter(here).collect()
}
