//! Where the registry is: `lifecycle/registry`.

use common::name::NodeName;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistryPlace {
    pub(crate) schema: u32,
    pub(crate) node: NodeName,
    /// Whether it has what the nodes have: one that was made anew is filled from them.
    pub(crate) filled: bool,
}
