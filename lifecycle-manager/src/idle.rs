//! Since when machines that were added for apps have none. Kept in memory: a new leader counts from its own first look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::NodeName;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<BTreeMap<NodeName, Instant>>);

impl Idle {
    /// These have no app now, and all others have one or are gone; says how long it has been so of each.
    pub(crate) fn note(&self, idle: &BTreeSet<NodeName>) -> Vec<(NodeName, Duration)> {
        let mut since = self.since();
        since.retain(|name, _| idle.contains(name));
        let lasting = |name: &NodeName| {
            let at = since.entry(name.clone()).or_insert_with(Instant::now);
            (name.clone(), at.elapsed())
        };
        idle.iter().map(lasting).collect()
    }

    /// It is needed for something else than apps.
    pub(crate) fn forget(&self, name: &NodeName) {
        self.since().remove(name);
    }

    /// Somebody wants a machine more: none of them is too many.
    pub(crate) fn begin_anew(&self) {
        self.since().clear();
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<NodeName, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
