//! What may go wrong on demand.

use std::collections::VecDeque;

use common::port::bus::Error;

/// Whether the bus can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Availability {
    #[default]
    Up,
    /// It takes calls and never answers: they wait until it is up again, or down.
    Stalled,
    /// Every call fails, also one that waits for a record.
    Down,
}

/// How one call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureMode {
    /// Nothing happened.
    Refused,
    /// It was done, but the caller is told that it failed.
    EffectHappened,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) availability: Availability,
    pub(super) publishes: VecDeque<FailureMode>,
    pub(super) commits: VecDeque<FailureMode>,
    pub(super) duplicates: usize,
    pub(super) repeats: usize,
}

pub(super) fn down() -> Error {
    Error::Unavailable("the test made it so".into())
}
