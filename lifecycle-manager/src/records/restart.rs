//! Restarts that were asked for: `restarts/<family>/<target>`, a record set for each family.

use std::collections::BTreeMap;

use common::id::{Epoch, RequestId};
use common::name::{LegacyName, NodeName, PartName};
use common::record::owed::Owed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::target::Target;

/// No more requests wait for the same restart.
pub(crate) const MOST_WAITING: usize = 32;

/// One target's restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restart {
    pub(crate) schema: u32,
    pub(crate) target: Target,
    /// The requests that wait for how it ends, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) waiting: Vec<Asked>,
    pub(crate) stage: Stage,
    /// When a program last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Timestamp>,
    /// How often it was restarted since it was last calm, and when.
    pub(crate) number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Timestamp>,
    /// How the last one ended: none if it did what it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<common::failure::Failure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) owed: Vec<Owed>,
}

/// A request for a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) request: RequestId,
    pub(crate) by: By,
    /// The name as it was asked for: answers carry it.
    pub(crate) name: String,
    pub(crate) at: Timestamp,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    /// A message, or one of document 000's paths: the brakes hold it, and messages are answered on `first_topic`.
    Message,
    /// A program over HTTP that looks like monitoring: as a message, and nobody is told on a topic.
    Probe,
    /// A person, by way of the app manager: no brake holds that.
    Operator,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub(crate) enum Stage {
    Idle,
    Underway { since: Timestamp, work: Work },
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(crate) enum Work {
    /// Instances, one after another.
    Instances {
        left: Vec<NodeName>,
        now: Option<InstanceRestart>,
        /// Those that were restarted.
        #[serde(default)]
        done: Vec<NodeName>,
        /// Whether those that look well when their turn comes are restarted, too.
        #[serde(default = "always")]
        well_too: bool,
        /// Since when each ran when the restart began; none for one that did not.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        before: BTreeMap<NodeName, Option<Timestamp>>,
    },
    Machine {
        /// Whose leader asked the backend; none before.
        asked: Option<Epoch>,
        /// When it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked_at: Option<Timestamp>,
        /// Whether the backend said that it did.
        #[serde(default)]
        answered: bool,
        /// The parts it had, and since when each had run; none for one that did not.
        #[serde(default)]
        parts: BTreeMap<PartName, Option<Timestamp>>,
    },
    /// The deployment manager was asked; the request is its own.
    Deployment { instance: LegacyName, request: RequestId },
}

/// As it was before there was a choice.
fn always() -> bool {
    true
}

/// An instance that is being restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceRestart {
    pub(crate) node: NodeName,
    /// Since when it ran before; none if it did not.
    pub(crate) ran_since: Option<Timestamp>,
    /// How often its agent was asked, and when last.
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempted_at: Option<Timestamp>,
}

impl InstanceRestart {
    /// Whether it is about this instance, which does not run anew yet; one that does not run was stopped so as to.
    pub(crate) fn is_due(&self, node: &NodeName, ran_since: Option<Timestamp>) -> bool {
        self.node == *node && (ran_since.is_none() || ran_since == self.ran_since)
    }
}

impl Restart {
    pub(crate) fn new(target: Target) -> Self {
        Restart {
            schema: 1,
            target,
            waiting: Vec::new(),
            stage: Stage::Idle,
            asked: None,
            number: 0,
            last: None,
            failure: None,
            owed: Vec::new(),
        }
    }

    /// Whether a person asks, and not only programs.
    pub(crate) fn is_an_operators(&self) -> bool {
        self.waiting.iter().any(|asked| asked.by == By::Operator)
    }
}
