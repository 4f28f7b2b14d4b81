//! How long and how much a topic keeps.

use std::time::Duration;

/// The bounds of each topic.
///
/// Age takes every record. Size takes only what every group of the topic has read: when the rest is
/// as large as the bound, publishing is refused until somebody has read or aged it away, as the
/// platform repeats what it owes and nobody repeats what was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub age: Duration,
    /// How many bytes the records of one topic take, at most.
    pub bytes: u64,
}

impl Default for Retention {
    /// Seven days, less than the platform remembers requests, and 32 MiB.
    fn default() -> Self {
        Retention { age: Duration::from_hours(7 * 24), bytes: 32 * 1024 * 1024 }
    }
}
