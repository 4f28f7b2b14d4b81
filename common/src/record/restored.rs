//! A store that took the place of another: `restored`, written once an operator has accepted it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Epoch;

/// What the nodes did before that is not for this store to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredRecord {
    pub schema: u32,
    /// The last epoch of the deployment manager before: what it made, and this store does not know, is left alone.
    pub epoch: Epoch,
    pub at: Timestamp,
}
