//! What was committed, in order: for those who check every change.

use bytes::Bytes;
use common::port::store::Path;

use super::MemoryStore;
use super::tree::{SessionId, Touched, Tree};

/// One record as one transaction changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub path: Path,
    /// None: the transaction made it.
    pub before: Option<Bytes>,
    /// None: the transaction removed it.
    pub after: Option<Bytes>,
    /// The client that did it, as [`MemoryStore::session_number`] says.
    pub by: u64,
}

impl MemoryStore {
    /// From now on what is committed is written down, until [`MemoryStore::take_journal`].
    pub fn keep_journal(&self) {
        self.lock().journal.get_or_insert_default();
    }

    /// What was committed since the last call of this method, in order.
    pub fn take_journal(&self) -> Vec<Committed> {
        self.lock().journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Which client this is.
    pub fn session_number(&self) -> u64 {
        self.session.id.0
    }
}

/// A transaction's entries: the first touch of a record says what it was before.
pub(super) fn entries(tree: &Tree, touched: &[Touched], by: SessionId) -> Vec<Committed> {
    let mut entries: Vec<Committed> = Vec::with_capacity(touched.len());
    for (path, before) in touched {
        if entries.iter().any(|entry| entry.path == *path) {
            continue;
        }
        let after = tree.get(path).map(|entry| entry.value);
        entries.push(Committed { path: path.clone(), before: before.clone(), after, by: by.0 });
    }
    entries
}
