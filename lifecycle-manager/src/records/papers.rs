//! Which certificates the agent and the parts of a node have: `lifecycle/papers/<node>`.

use std::collections::BTreeMap;

use common::digest::Digest;
use common::name::PartName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodePapers {
    pub(crate) schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<Paper>,
    #[serde(default)]
    pub(crate) parts: BTreeMap<PartName, Paper>,
}

/// A certificate, never its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paper {
    /// The hash of the specification that it came with; empty for an agent's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) spec_hash: String,
    /// None where it is not known which one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<Digest>,
    /// When it was first seen.
    pub(crate) since: Timestamp,
    /// Since when another one should be in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
}

impl Paper {
    pub(crate) fn new(spec_hash: &str, certificate: Option<Digest>, since: Timestamp) -> Self {
        Paper { spec_hash: spec_hash.to_owned(), certificate, since, due: None }
    }
}
