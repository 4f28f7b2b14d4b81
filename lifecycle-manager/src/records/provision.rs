//! Machines that were asked for: `lifecycle/provision`, one at a time; and which of them only programs asked for.

use std::collections::BTreeSet;

use common::id::RequestId;
use common::name::NodeName;
use common::record::owed::Owed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::restart::By;

/// No more requests wait for the same machine.
pub(crate) const MOST_WAITING: usize = 32;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provision {
    pub(crate) schema: u32,
    /// The requests that wait for a machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<Wanted>,
    /// The machine that is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) making: Option<Making>,
    /// When the last one was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
    /// The machines that were added for apps, and by no person: they are given back when no app is on them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) at_need: BTreeSet<NodeName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) owed: Vec<Owed>,
}

impl Provision {
    /// Whether a person is among those who wait.
    pub(crate) fn is_a_persons(&self) -> bool {
        self.waiting.iter().any(|wanted| wanted.by == By::Operator)
    }
}

/// A request for a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) request: RequestId,
    pub(crate) by: By,
    pub(crate) reason: String,
    /// The machine's name, where the asker has chosen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<NodeName>,
}

impl Wanted {
    /// Whether this machine is what was asked for.
    pub(crate) fn is_met_by(&self, machine: &NodeName) -> bool {
        self.name.as_ref().is_none_or(|name| name == machine)
    }
}

/// A machine on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Making {
    pub(crate) machine: NodeName,
    pub(crate) since: Timestamp,
}
