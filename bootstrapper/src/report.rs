//! What is told while the platform is made: each step as it begins and ends, for people and programs.

use std::time::Duration;

use common::name::NodeName;
use serde::Serialize;

use crate::trouble::Trouble;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step begins, on a machine or on this computer.
    Begins {
        machine: Option<NodeName>,
        step: String,
    },
    Ends {
        machine: Option<NodeName>,
        step: String,
        milliseconds: u64,
    },
    Failed(Trouble),
    /// A sentence about what is waited for, or was found.
    Says {
        sentence: String,
    },
}

/// Who is told.
pub trait Report: Send + Sync {
    fn tell(&self, event: &Event);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy)]
pub struct Silence;

impl Report for Silence {
    fn tell(&self, _: &Event) {}
}

pub(crate) fn ended(machine: Option<&NodeName>, step: &str, took: Duration) -> Event {
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Event::Ends { machine: machine.cloned(), step: step.to_owned(), milliseconds }
}

pub(crate) fn began(machine: Option<&NodeName>, step: &str) -> Event {
    Event::Begins { machine: machine.cloned(), step: step.to_owned() }
}
