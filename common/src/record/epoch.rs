//! Epochs: `epochs/<service>`, bumped by each new leader of the service before it acts.

use serde::{Deserialize, Serialize};

use crate::id::Epoch;

/// The epoch of a service's leadership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRecord {
    pub schema: u32,
    pub epoch: Epoch,
}
