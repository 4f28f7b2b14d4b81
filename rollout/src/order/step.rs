//! [`PartStep`]: one thing to be done to a node's parts, and the sentence that says it.

use std::fmt;

use common::name::NodeName;

use crate::parts::BasePart;
use crate::platform::Component;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStep {
    pub node: NodeName,
    pub action: PartAction,
    /// False where the node could not be asked yet.
    pub certain: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartAction {
    Run(BasePart),
    Await(BasePart),
    /// Tells the node where the registry is.
    PointToRegistry,
    /// Puts an image that the node has into the registry.
    Push(Component),
}

impl fmt::Display for PartStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.node;
        match self.action {
            PartAction::Run(part) => write!(f, "run {part} on {node}"),
            PartAction::Await(part) => write!(f, "wait until {part} on {node} is ready"),
            PartAction::PointToRegistry => write!(f, "tell {node} where the registry is"),
            PartAction::Push(component) => {
                write!(f, "put the image {} into the registry from {node}", component.repository())
            }
        }?;
        if self.certain { Ok(()) } else { f.write_str(", where it is missing") }
    }
}
