//! The record of what was asked of simulated nodes about parts.

use std::fmt;
use std::net::SocketAddr;

use common::digest::Digest;
use common::name::{NodeName, PartName, ShareName};
use common::port::nodes::Issuer;
use common::port::part::{PartImage, PartRemoval, PartSpec};
use common::port::share::Code;

/// One call. Printed as `ensure kafka on node-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartCall {
    Ensure { node: NodeName, issuer: Issuer, spec: Box<PartSpec> },
    Remove { node: NodeName, issuer: Issuer, removal: PartRemoval },
    Restart { node: NodeName, issuer: Issuer, name: PartName },
    List { node: NodeName },
    Logs { node: NodeName, name: PartName },
    Images { node: NodeName },
    Archive { node: NodeName, image: Digest },
    Push { node: NodeName, issuer: Issuer, image: PartImage, repository: String },
    Registry { node: NodeName, issuer: Issuer, registry: SocketAddr },
    Share { node: NodeName, issuer: Issuer, name: ShareName },
    Build { node: NodeName, issuer: Issuer, code: Code },
}

impl fmt::Display for PartCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartCall::Ensure { node, spec, .. } => write!(f, "ensure {} on {node}", spec.name),
            PartCall::Remove { node, removal, .. } => {
                write!(f, "remove {} from {node}", removal.name)
            }
            PartCall::Restart { node, name, .. } => write!(f, "restart {name} on {node}"),
            PartCall::List { node } => write!(f, "list parts of {node}"),
            PartCall::Logs { node, name } => write!(f, "logs of {name} on {node}"),
            PartCall::Images { node } => write!(f, "images of {node}"),
            PartCall::Archive { node, image } => write!(f, "archive of {image} from {node}"),
            PartCall::Push { node, repository, .. } => write!(f, "push {repository} from {node}"),
            PartCall::Share { node, name, .. } => write!(f, "tell {node} of the share {name}"),
            PartCall::Build { node, code, .. } => write!(f, "build {code} on {node}"),
            PartCall::Registry { node, registry, .. } => {
                write!(f, "tell {node} of the registry at {registry}")
            }
        }
    }
}
