//! Incidents: a target that is down, from the first alert to its end, with everything that is owed for it.

use common::id::RequestId;
use common::message::LifecycleCommand;
use common::record::owed::Owed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::target::Target;

/// `monitoring/incidents/<hh>/<incident>`: kept for days after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incident {
    pub(crate) schema: u32,
    /// From it follow the request ids of all that is asked for its sake.
    pub(crate) id: RequestId,
    pub(crate) target: Target,
    /// One sentence: what is wrong. It holds no address.
    pub(crate) text: String,
    pub(crate) opened_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed_at: Option<Timestamp>,
    /// How many restarts were asked for.
    #[serde(default)]
    pub(crate) restarts: u32,
    #[serde(default)]
    pub(crate) owed: Vec<Owed>,
    /// What receivers of webhooks are still to be told.
    #[serde(default)]
    pub(crate) notices: Vec<OwedNotice>,
}

/// What one receiver is still to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwedNotice {
    /// The same at every attempt.
    pub(crate) id: Uuid,
    pub(crate) receiver: String,
    pub(crate) phase: Phase,
    pub(crate) owed_since: Timestamp,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Opened,
    Closed,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Opened => "opened",
            Phase::Closed => "closed",
        }
    }
}

impl Incident {
    /// Whether nothing is left to be sent.
    pub(crate) fn is_told(&self) -> bool {
        self.owed.is_empty() && self.notices.is_empty()
    }

    /// Whether a restart was asked for that nobody has been told of yet.
    pub(crate) fn owes_restart(&self) -> bool {
        self.owed.iter().any(asks_for_restart)
    }

    /// Takes back the restarts that nobody has been told of yet; says whether there were any.
    pub(crate) fn withdraw_restarts(&mut self) -> bool {
        let before = self.owed.len();
        self.owed.retain(|message| !asks_for_restart(message));
        self.owed.len() < before
    }
}

/// Whether an owed message asks for a restart.
pub(crate) fn asks_for_restart(message: &Owed) -> bool {
    match LifecycleCommand::decode(&message.envelope.msg) {
        Ok(
            LifecycleCommand::RestartService { .. }
            | LifecycleCommand::RestartNode { .. }
            | LifecycleCommand::RestartApp { .. }
            | LifecycleCommand::RestartModel { .. },
        ) => message.envelope.to_topic == LifecycleCommand::TOPIC,
        Ok(LifecycleCommand::NeedNode { .. } | LifecycleCommand::Verdict { .. }) | Err(_) => false,
    }
}
