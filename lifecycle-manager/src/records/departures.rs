//! Machines that are taken away: `lifecycle/departures`, the last one and who wanted it.

use common::name::NodeName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whoever takes a machine away writes it over what he has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Departures {
    pub(crate) schema: u32,
    pub(crate) last: NodeName,
    #[serde(default)]
    pub(crate) by: Taker,
    pub(crate) at: Timestamp,
}

impl Departures {
    /// Who takes this machine away. What nobody has written down is a person's.
    pub(crate) fn taker(&self, machine: &NodeName) -> Taker {
        if self.last == *machine { self.by } else { Taker::Person }
    }
}

/// Who wants a machine to be gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Taker {
    #[default]
    Person,
    /// The platform itself, as no app was on it: it stays if one is after all.
    Platform,
}
