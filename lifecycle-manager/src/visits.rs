//! Which machines are being looked after now: each by one at a time, or two would replace what the other has just begun.
//! In memory only: whoever leads looks after all of them.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::name::NodeName;

/// One for the whole service.
#[derive(Debug, Default)]
pub(crate) struct Visits(Mutex<BTreeSet<NodeName>>);

/// Somebody looks after a machine for as long as this lives.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    visits: &'a Visits,
    node: NodeName,
}

impl Visits {
    /// None where somebody does already.
    pub(crate) fn begin(&self, node: &NodeName) -> Option<Visit<'_>> {
        let is_first = self.nodes().insert(node.clone());
        is_first.then(|| Visit { visits: self, node: node.clone() })
    }

    pub(crate) fn is_under_way(&self, node: &NodeName) -> bool {
        self.nodes().contains(node)
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeSet<NodeName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.visits.nodes().remove(&self.node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_looked_after_by_one_at_a_time_and_others_meanwhile() {
        let (visits, node) = (Visits::default(), "node-1".parse().unwrap());
        let first = visits.begin(&node);
        assert!(first.is_some() && visits.begin(&node).is_none());
        assert!(visits.begin(&"node-2".parse().unwrap()).is_some());
        drop(first);
        assert!(!visits.is_under_way(&node) && visits.begin(&node).is_some());
    }
}
