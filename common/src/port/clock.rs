//! Wall-clock time. Monotonic time is tokio's.

use std::fmt::Debug;

use jiff::Timestamp;

/// Tells the time of day; it may jump, so nothing that must be monotonic is decided by it.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}
