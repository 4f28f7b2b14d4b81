//! Machines as the lifecycle manager keeps them: `machines/<name>`. Written by it alone.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Generation;
use crate::name::NodeName;
use crate::port::host::{Credential, Gate, HostKey};
use crate::port::machines::{MachineId, Shape};

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    pub schema: u32,
    pub name: NodeName,
    pub shape: Shape,
    pub goal: MachineGoal,
    /// Counts the changes of the goal.
    pub generation: Generation,
    /// Where one signs in; none before it has an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    pub user: String,
    /// Where the credential is, never what it is.
    pub credential: Credential,
    /// Which machine the host key is of; none where its backend did not make it, or never said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MachineId>,
    /// Pinned at enrolment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKey>,
    /// Where other nodes reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    pub state: MachineState,
    /// One sentence: why it is in this state.
    pub reason: String,
    pub since: Timestamp,
    /// When it was restarted of late, newest last; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Timestamp>,
}

/// What is wanted of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineGoal {
    /// Runs, with an agent that answers.
    Node,
    /// Is gone, and nothing made for it is left.
    Absent,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// Being made, started or prepared.
    Preparing,
    /// Its agent answers.
    Ready,
    /// It runs or should, and does not answer.
    Silent,
    /// Not to be used before an operator says so: its host key changed.
    Quarantined,
    /// Being deleted.
    Leaving,
    /// A step failed for good; tried again with growing pauses.
    Failed,
}
