//! The open database: read by many at once, written by one thread, opened anew after a failure.

use std::fs;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use tokio::sync::watch;
use tokio::time::timeout;

use super::failure::{self, Error};
use super::medium::Medium;

/// What redb remembers of a file, at most. The system remembers it as well.
const CACHE: usize = 16 * 1024 * 1024;
/// A smaller file is not worth compacting.
const LARGE: u64 = 32 * 1024 * 1024;

/// The database, or why there is none at the moment.
#[derive(Debug)]
pub(super) struct Live {
    medium: Box<dyn Medium>,
    current: RwLock<Result<Database, Arc<Error>>>,
    /// Why it cannot be used any more.
    ended: watch::Sender<Option<Arc<Error>>>,
}

impl Live {
    /// Blocks.
    pub(super) fn open(medium: Box<dyn Medium>) -> Result<Self, Error> {
        let database = open(medium.as_ref())?;
        let ended = watch::Sender::default();
        Ok(Live { medium, current: RwLock::new(Ok(database)), ended })
    }

    pub(super) fn medium(&self) -> &dyn Medium {
        self.medium.as_ref()
    }

    /// Lets go of the database, once nobody reads it.
    pub(super) fn let_go(&self, cause: Arc<Error>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Err(cause);
    }

    /// Why there is no database; none if there is one.
    pub(super) fn lost(&self) -> Option<Arc<Error>> {
        self.current().as_ref().err().map(Arc::clone)
    }

    /// It cannot be used any more before another process opens it.
    pub(super) fn end(&self, cause: &Arc<Error>) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert_with(|| Arc::clone(cause));
            is_first
        });
    }

    /// Completes when the database cannot be used any more, with why.
    pub(super) async fn ended(&self) -> Arc<Error> {
        let mut ended = self.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await;
        match ended.ok().and_then(|ended| ended.clone()) {
            Some(cause) => cause,
            // The sender is our own.
            None => pending().await,
        }
    }

    /// Opens the database that was let go of.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        let database = open(self.medium.as_ref())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Ok(database);
        Ok(())
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Arc<Error>> {
        match &*self.current() {
            Ok(database) => database.begin_write().map_err(|err| self.failed(err.into())),
            Err(cause) => Err(Arc::clone(cause)),
        }
    }

    /// Looks at what is durable now, aside, within a deadline. One that is late ends on its own.
    #[expect(clippy::disallowed_methods, reason = "reading a file blocks")]
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        within: Duration,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Arc<Error>> {
        let live = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || {
            let current = live.current();
            let database = current.as_ref().map_err(Arc::clone)?;
            let transaction = database.begin_read().map_err(|err| live.failed(err.into()))?;
            look(&transaction).map_err(|err| live.failed(err))
        });
        let seen = match timeout(within, looking).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(ended)) => Err(Arc::new(match ended.try_into_panic() {
                Ok(panic) => failure::of_panic(self.medium.path(), panic.as_ref()),
                Err(_) => Error::Closed { path: self.medium.path().to_owned() },
            })),
            Err(_) => Err(Arc::new(Error::Overloaded { path: self.medium.path().to_owned() })),
        };
        if let Err(cause) = &seen
            && cause.is_final()
        {
            self.end(cause);
        }
        seen
    }

    pub(super) fn failed(&self, err: redb::Error) -> Arc<Error> {
        Arc::new(failure::of(self.medium.path(), err))
    }

    fn current(&self) -> RwLockReadGuard<'_, Result<Database, Arc<Error>>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(medium: &dyn Medium) -> Result<Database, Error> {
    match catch_unwind(AssertUnwindSafe(|| open_whole(medium))) {
        Ok(opened) => opened.map_err(|err| failure::of(medium.path(), err)),
        Err(panic) => Err(failure::of_panic(medium.path(), panic.as_ref())),
    }
}

/// Opens the database and sees to it that every page is as it was written: redb does so by itself
/// only after a crash.
fn open_whole(medium: &dyn Medium) -> Result<Database, redb::Error> {
    let repaired = Arc::new(AtomicBool::new(false));
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder.set_repair_callback({
        let repaired = Arc::clone(&repaired);
        move |_| repaired.store(true, Ordering::Relaxed)
    });
    let mut database = medium.open(&builder)?;
    if repaired.load(Ordering::Relaxed) {
        tracing::info!(file = %medium.path().display(), "checked after it was not closed");
    } else if !database.check_integrity()? {
        tracing::warn!(file = %medium.path().display(), "the list of free pages was made anew");
    }
    compact(medium, &mut database)?;
    Ok(database)
}

/// Gives the disk back what a large file does not use any more.
fn compact(medium: &dyn Medium, database: &mut Database) -> Result<(), redb::Error> {
    let size = fs::metadata(medium.path()).map_or(0, |file| file.len());
    if size < LARGE {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    let page_size = u64::try_from(stats.page_size()).unwrap_or(u64::MAX);
    let used = stats.allocated_pages().saturating_mul(page_size);
    transaction.abort()?;
    if used < size / 2 {
        tracing::info!(file = %medium.path().display(), size, used, "compacting");
        database.compact()?;
    }
    Ok(())
}
