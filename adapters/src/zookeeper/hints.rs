//! The hints of one watch, on their way to whoever reads them: folded together while nobody does,
//! and bounded, as too many of them become one [`Change::Resync`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::port::store::{Change, Path};
use tokio::sync::Notify;

/// How many paths may wait.
const MOST: usize = 1024;

#[derive(Debug, Clone, Default)]
pub(super) struct Hints {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    paths: BTreeSet<Path>,
    resync: bool,
    closed: bool,
}

impl Hints {
    pub(super) fn at(&self, path: Path) {
        let mut waiting = self.lock();
        waiting.paths.insert(path);
        if waiting.paths.len() > MOST {
            waiting.paths.clear();
            waiting.resync = true;
        }
        drop(waiting);
        self.inner.notify.notify_one();
    }

    pub(super) fn resync(&self) {
        let mut waiting = self.lock();
        waiting.paths.clear();
        waiting.resync = true;
        drop(waiting);
        self.inner.notify.notify_one();
    }

    /// No more will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.inner.notify.notify_one();
    }

    /// The next hint; none after the end.
    pub(super) async fn next(&self) -> Option<Change> {
        loop {
            match self.take() {
                Taken::Change(change) => return Some(change),
                Taken::End => return None,
                Taken::Nothing => self.inner.notify.notified().await,
            }
        }
    }

    fn take(&self) -> Taken {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.resync) {
            return Taken::Change(Change::Resync);
        }
        match waiting.paths.pop_first() {
            Some(path) => Taken::Change(Change::At(path)),
            None if waiting.closed => Taken::End,
            None => Taken::Nothing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Taken {
    Change(Change),
    Nothing,
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hints_fold_together_and_too_many_become_a_resync() {
        let hints = Hints::default();
        let path = |number: usize| format!("/a/{number}").parse::<Path>().unwrap();
        hints.at(path(1));
        hints.at(path(1));
        assert_eq!(hints.next().await, Some(Change::At(path(1))));
        (0..=MOST).for_each(|number| hints.at(path(number)));
        hints.at(path(7));
        hints.close();
        assert_eq!(hints.next().await, Some(Change::Resync));
        assert_eq!(hints.next().await, Some(Change::At(path(7))));
        assert_eq!(hints.next().await, None);
    }
}
