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
    /// The settings that came with it, where its holder is of the base and has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Digest>,
    /// Which of all that was given its holder goes by: it is not compared with what was given before.
    #[serde(default)]
    pub(crate) given: u64,
    /// When it was first seen.
    pub(crate) since: Timestamp,
    /// Since when another one should be in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Timestamp>,
    /// The last attempt to put another one in its place, where that is not known to have come to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
}

/// That somebody was to get another certificate: written down before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) at: Timestamp,
    /// Whether its holder was seen to do what it is for afterwards: it has broken nothing.
    pub(crate) outlived: bool,
}

impl Paper {
    pub(crate) fn new(spec_hash: &str, certificate: Option<Digest>, since: Timestamp) -> Self {
        let (settings, due, attempt) = (None, None, None);
        let spec_hash = spec_hash.to_owned();
        Paper { spec_hash, certificate, settings, given: 0, since, due, attempt }
    }

    /// Another one is to take its place from now on.
    pub(crate) fn attempted(&mut self, now: Timestamp) {
        self.attempt = Some(Attempt { at: now, outlived: false });
    }

    /// Its holder does what it is for.
    pub(crate) fn stands(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            attempt.outlived = true;
        }
    }
}
