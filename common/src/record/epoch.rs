//! Epochs: `epochs/<service>`, bumped by each new leader of the service before it acts.

use serde::{Deserialize, Serialize};

use crate::id::Epoch;

/// The epoch of a service's leadership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRecord {
    pub schema: u32,
    pub epoch: Epoch,
    /// The name of the candidate that took it: two that take the next epoch at once write different
    /// records, so each can tell whether it was its own that was kept.
    #[serde(default)]
    pub taken_by: String,
}

/// `settled/<service>`: the last leader that said that it is ready to act; of another epoch than the service's, none has
/// since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledRecord {
    pub schema: u32,
    pub epoch: Epoch,
}
