//! What monitoring decides, as pure functions: no clock, no store, no bus.

use std::time::Duration;

pub(crate) mod backoff;
pub(crate) mod board;
pub(crate) mod budget;
pub(crate) mod finding;
#[cfg(test)]
mod laws;
pub(crate) mod plan;
pub(crate) mod target;
pub(crate) mod verdict;

/// A moment of monotonic time, counted from the start of this process.
pub(crate) type Moment = Duration;
