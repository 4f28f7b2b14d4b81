//! What was done about a machine whose agent does not answer: `lifecycle/repairs/<machine>`.

use common::failure::Failure;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Attempts since the machine was last calm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Repair {
    pub(crate) schema: u32,
    pub(crate) attempts: u32,
    pub(crate) last: Option<Timestamp>,
    /// What was done last, in words.
    pub(crate) what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// Whether its agent ever answered since it was made.
    #[serde(default)]
    pub(crate) was_ready: bool,
}
