//! The record of what was asked of simulated nodes.

use std::fmt;

use common::digest::ImageRef;
use common::name::{ContainerName, NodeName};
use common::port::container::ContainerSpec;
use common::port::nodes::{Issuer, Removal};

/// One call. Printed as `ensure shop_instance_1 on node-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Ensure { node: NodeName, issuer: Issuer, spec: Box<ContainerSpec> },
    Remove { node: NodeName, issuer: Issuer, removal: Removal },
    List { node: NodeName },
    Build { node: NodeName, issuer: Issuer, repository: String },
    Pull { node: NodeName, issuer: Issuer, image: ImageRef },
    Probe { node: NodeName, name: ContainerName },
    Logs { node: NodeName, name: ContainerName },
    Samples { node: NodeName },
    Announce { node: NodeName, issuer: Issuer },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Ensure { node, spec, .. } => write!(f, "ensure {} on {node}", spec.name()),
            Call::Remove { node, removal, .. } => write!(f, "remove {} from {node}", removal.name),
            Call::List { node } => write!(f, "list {node}"),
            Call::Build { node, repository, .. } => write!(f, "build {repository} on {node}"),
            Call::Pull { node, image, .. } => write!(f, "pull {} to {node}", image.repository()),
            Call::Probe { node, name } => write!(f, "probe {name} on {node}"),
            Call::Logs { node, name } => write!(f, "logs of {name} on {node}"),
            Call::Samples { node } => write!(f, "samples of {node}"),
            Call::Announce { node, issuer } => {
                write!(f, "announce {} {} to {node}", issuer.service, issuer.epoch)
            }
        }
    }
}
