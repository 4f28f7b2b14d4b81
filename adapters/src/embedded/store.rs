//! [`EmbeddedStore`]: the tree of records in one file.

mod session;
mod tables;
mod transaction;
mod tree;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error as StoreError, Op, Path, check_limits};
use futures::stream::BoxStream;
use redb::ReadTransaction;

use self::session::{Session, SessionId};
use self::tree::{Tree, Write};
use self::watch::Changes;
use super::database::Live;
use super::failure::Error;
use super::folder::Folder;
use super::medium::{FileMedium, Medium};
use super::queue::{Failure, Fate, Queue};
use super::writer;

pub(super) const FILE: &str = "store.redb";
/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// What an operation takes of the queue beside its path and value.
const OVERHEAD: usize = 64;

/// A client of the store in a folder, with a session. Clones share the session, which ends with the
/// last of them.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    session: Arc<Session>,
}

/// What all clients share. The file is closed after the last of them.
#[derive(Debug)]
struct Shared {
    live: Arc<Live>,
    queue: Queue<Write>,
    changes: Changes,
}

impl EmbeddedStore {
    /// Opens the store of the folder, which is made if it is missing. Ephemeral records of earlier
    /// processes are gone. Blocks, longer after a crash: every page is looked at.
    pub fn open(folder: &Folder) -> Result<Self, Error> {
        EmbeddedStore::on(FileMedium::new(folder, FILE))
    }

    /// As [`open`](Self::open), wherever the bytes are.
    pub fn on(medium: impl Medium) -> Result<Self, Error> {
        let live = Arc::new(Live::open(Box::new(medium))?);
        let changes = Changes::default();
        let tree = Tree::new(changes.clone());
        let queue = writer::start("embedded-store", Arc::clone(&live), tree, CALL_WITHIN)?;
        let shared = Arc::new(Shared { live, queue, changes });
        Ok(EmbeddedStore { session: Arc::new(Session::begin(shared, SessionId::FIRST)) })
    }

    /// Another client of the same tree, with a session of its own.
    #[must_use]
    pub fn session(&self) -> Self {
        EmbeddedStore { session: Arc::new(self.session.another()) }
    }

    /// Completes when the file cannot be used any more, with why: nothing that was acknowledged is lost, and another
    /// process that opens it goes on.
    pub async fn failed(&self) -> Arc<Error> {
        self.shared().live.ended().await
    }

    /// Writes what was accepted and closes the file for all clients; every later call is
    /// `Unavailable`. A store that is only dropped closes its file soon after.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared().queue.close().await
    }

    fn shared(&self) -> &Shared {
        self.session.shared()
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = self.shared().live.read(CALL_WITHIN, look).await;
        read.map_err(|cause| StoreError::Unavailable(cause.into()))
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, StoreError> {
        let path = path.clone();
        self.read(move |transaction| tables::entry(transaction, path.as_str())).await
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        let path = path.clone();
        self.read(move |transaction| tables::children(transaction, path.as_str())).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, StoreError> {
        check_limits(&ops)?;
        let sizes = ops
            .iter()
            .map(|op| OVERHEAD + op.path().as_str().len() + op.value().map_or(0, Bytes::len));
        let (size, session) = (sizes.sum(), self.session.id());
        let commit = |reply| Write::Commit { session, ops, reply };
        let committed = self.shared().queue.submit(size, commit).await;
        committed.map_err(|Failure { fate, cause }| match fate {
            Fate::Undone => StoreError::Unavailable(cause.into()),
            Fate::Unknown => StoreError::OutcomeUnknown(cause.into()),
        })?
    }

    /// Waits for what is in the queue, this client's own transactions of unknown outcome included.
    async fn sync(&self) -> Result<(), StoreError> {
        let synced = self.shared().queue.submit(0, |reply| Write::Sync { reply }).await;
        synced.map_err(|failure| StoreError::Unavailable(failure.cause.into()))
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, StoreError> {
        Ok(self.shared().changes.watch(path.clone(), self.session.ended()))
    }
}
