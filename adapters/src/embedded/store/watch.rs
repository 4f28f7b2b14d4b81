//! Watches: every client hears what each transaction changed, and picks out what is its own.

use std::collections::VecDeque;
use std::sync::Arc;

use common::port::store::{Change, Path};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// How many transactions a watch that nobody reads remembers.
const REMEMBERED: usize = 256;
/// How many paths are told of one transaction; of more it is said that anything may have changed.
const MOST: usize = 1024;

/// What was changed, on its way to those who watch.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    sender: broadcast::Sender<Changed>,
}

#[derive(Debug, Clone)]
enum Changed {
    At(Arc<[Path]>),
    Anything,
}

impl Default for Changes {
    fn default() -> Self {
        Changes { sender: broadcast::Sender::new(REMEMBERED) }
    }
}

impl Changes {
    pub(super) fn at(&self, paths: Vec<Path>) {
        let changed =
            if paths.len() > MOST { Changed::Anything } else { Changed::At(paths.into()) };
        self.tell(changed);
    }

    pub(super) fn anything(&self) {
        self.tell(Changed::Anything);
    }

    fn tell(&self, changed: Changed) {
        // It fails if nobody watches.
        drop(self.sender.send(changed));
    }

    /// Hints about what lies within the path, from now on until the end.
    pub(super) fn watch(&self, path: Path, end: CancellationToken) -> BoxStream<'static, Change> {
        let told = self.sender.subscribe();
        let watch = Watch { path, told, end, waiting: VecDeque::new() };
        stream::unfold(watch, |mut watch| async move {
            watch.next().await.map(|change| (change, watch))
        })
        .boxed()
    }
}

struct Watch {
    path: Path,
    told: broadcast::Receiver<Changed>,
    end: CancellationToken,
    waiting: VecDeque<Change>,
}

impl Watch {
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                return Some(change);
            }
            let told = tokio::select! {
                biased;
                () = self.end.cancelled() => return None,
                told = self.told.recv() => told,
            };
            match told {
                Ok(Changed::At(paths)) => {
                    let own = paths.iter().filter(|path| path.is_within(&self.path));
                    self.waiting = own.cloned().map(Change::At).collect();
                }
                Ok(Changed::Anything) | Err(RecvError::Lagged(_)) => return Some(Change::Resync),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_watch_hears_of_its_own_and_of_what_it_missed() {
        let changes = Changes::default();
        let end = CancellationToken::new();
        let mut hints = changes.watch(path("/a"), end.clone());
        changes.at(vec![path("/a/b"), path("/ab"), path("/a")]);
        assert_eq!(hints.next().await, Some(Change::At(path("/a/b"))));
        assert_eq!(hints.next().await, Some(Change::At(path("/a"))));
        changes.at(vec![path("/a"); MOST + 1]);
        assert_eq!(hints.next().await, Some(Change::Resync));
        (0..=REMEMBERED).for_each(|number| changes.at(vec![path(&format!("/a/{number}"))]));
        assert_eq!(hints.next().await, Some(Change::Resync));
        assert_eq!(hints.next().await, Some(Change::At(path("/a/1"))));
        end.cancel();
        assert_eq!(hints.next().await, None);
    }
}
