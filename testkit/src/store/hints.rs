//! The hints of one watch: folded together until somebody reads them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::port::store::{Change, Path};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Hints {
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
        self.lock().paths.insert(path);
        self.notify.notify_one();
    }

    pub(super) fn resync(&self) {
        let mut waiting = self.lock();
        waiting.paths.clear();
        waiting.resync = true;
        drop(waiting);
        self.notify.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.notify.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Option<Change> {
        loop {
            match self.take() {
                Taken::Change(change) => return Some(change),
                Taken::End => return None,
                Taken::Nothing => self.notify.notified().await,
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
}

enum Taken {
    Change(Change),
    Nothing,
    End,
}

pub(super) fn stream(hints: Arc<Hints>) -> BoxStream<'static, Change> {
    stream::unfold(hints, |hints| async move { hints.next().await.map(|change| (change, hints)) })
        .boxed()
}
