//! What was done about the base of a node: `lifecycle/bases/<node>`.

use std::collections::BTreeMap;

use common::name::PartName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    pub(crate) schema: u32,
    #[serde(default)]
    pub(crate) parts: BTreeMap<PartName, BaseHistory>,
}

/// One of its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseHistory {
    /// Whether it was ever ready there: if it is absent later, its data is lost.
    pub(crate) stood: bool,
    /// How often it was restarted since it was last calm, and when.
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
    /// Since when it has lost its data and waits for the others; none while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held_since: Option<Timestamp>,
}
