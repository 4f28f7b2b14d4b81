//! Which topics there are and where they end: what callers know without asking the database.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

/// How far a topic goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The offset of the next record.
    At(i64),
    /// Nothing is read or written any more.
    Stopped,
}

/// A topic, followed to its end.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: u32,
    pub(super) ends: watch::Receiver<End>,
}

/// The topics by name.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: RwLock<BTreeMap<String, Topic>>,
}

#[derive(Debug)]
struct Topic {
    id: u32,
    end: watch::Sender<End>,
}

impl Topics {
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).map(|topic| Place { id: topic.id, ends: topic.end.subscribe() })
    }

    /// Tells where a topic ends now, which may be new.
    pub(super) fn announce(&self, name: &str, id: u32, end: i64) {
        let end = End::At(end);
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = by_name.get(name) {
            topic.end.send_if_modified(|known| std::mem::replace(known, end) != end);
        } else {
            by_name.insert(name.to_owned(), Topic { id, end: watch::Sender::new(end) });
        }
    }

    /// Tells those who wait for a record that there will be none.
    pub(super) fn stop(&self) {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        for topic in by_name.values() {
            topic.end.send_replace(End::Stopped);
        }
    }
}
