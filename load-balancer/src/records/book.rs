//! The routes and the leases of front ports as they were read: a change of one app reads that app's records again, and not
//! those of all others.
//!
//! Owns what has to be read again. Who leads keeps what it read, since nobody else writes these records, and has whatever
//! it writes read again, however the write ends. Never writes, and decides nothing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::records::{self, Stored};
use common::port::Store;
use common::port::store::{Op, Path};
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex as AsyncMutex;

use super::AT_ONCE;

/// Readable records by name.
pub(crate) type Kept<T> = BTreeMap<String, Arc<Stored<T>>>;

/// What is kept of the records that all of a table, or of document 001's lists, are made from.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) routes: Book<Route>,
    pub(crate) leases: Book<FrontPortLease>,
}

impl Books {
    pub(crate) fn new() -> Self {
        Books {
            routes: Book::new(path::folder("routes")),
            leases: Book::new(path::folder("ports/edge")),
        }
    }

    /// All records are to be read again, whoever may have changed them.
    pub(crate) fn forget(&self) {
        self.routes.due().all = true;
        self.leases.due().all = true;
    }

    /// What these changes write is read again each time until this is dropped, and once more then: it stands there before
    /// who writes it hears of that, and others read it there.
    pub(crate) fn writing(&self, changes: &[Op]) -> Writing<'_> {
        let paths: Vec<Path> = changes.iter().map(|change| change.path().clone()).collect();
        for path in &paths {
            self.routes.begins(path);
            self.leases.begins(path);
        }
        Writing { books: self, paths }
    }
}

/// A write that is under way: done, refused, or nobody knows.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    books: &'a Books,
    paths: Vec<Path>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for path in &self.paths {
            self.books.routes.wrote(path);
            self.books.leases.wrote(path);
        }
    }
}

/// The records directly below a folder.
#[derive(Debug)]
pub(crate) struct Book<T> {
    folder: Path,
    kept: AsyncMutex<Kept<T>>,
    due: Mutex<Due>,
}

#[derive(Debug, Default)]
struct Due {
    all: bool,
    names: BTreeSet<String>,
    /// What is being written, by how many.
    written: BTreeMap<String, usize>,
}

impl Due {
    /// What is to be read now; what is being written stays due.
    fn take(&mut self) -> Due {
        let names = mem::take(&mut self.names).into_iter().chain(self.written.keys().cloned());
        Due { all: mem::take(&mut self.all), names: names.collect(), written: BTreeMap::new() }
    }
}

impl<T: DeserializeOwned + Send + Sync> Book<T> {
    fn new(folder: Path) -> Self {
        let due = Mutex::new(Due { all: true, ..Due::default() });
        Book { folder, kept: AsyncMutex::default(), due }
    }

    /// All of them, with every write that had taken effect before.
    pub(crate) async fn read(&self, store: &dyn Store) -> Result<Kept<T>, records::Error> {
        let mut kept = self.kept.lock().await;
        let reading = Reading { book: self, due: self.due().take() };
        if reading.due.all {
            store.sync().await?;
            let names = store.children(&self.folder).await?;
            *kept = self.load(store, names).await?.into_iter().filter_map(found).collect();
        } else if !reading.due.names.is_empty() {
            store.sync().await?;
            let again = self.load(store, reading.due.names.iter().cloned().collect()).await?;
            for (name, record) in again {
                match record {
                    Some(record) => drop(kept.insert(name, record)),
                    None => drop(kept.remove(&name)),
                }
            }
        }
        reading.done();
        Ok(kept.clone())
    }

    /// What is not readable is logged, and is as if it were not there: it costs one app.
    async fn load(
        &self,
        store: &dyn Store,
        names: Vec<String>,
    ) -> Result<Vec<(String, Option<Arc<Stored<T>>>)>, records::Error> {
        let places =
            names.into_iter().filter_map(|name| Some((self.folder.join(&name).ok()?, name)));
        stream::iter(places)
            .map(|(path, name)| async move {
                let found = records::readable(records::load(store, &path).await)?;
                Ok((name, found.map(Arc::new)))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

fn found<T>((name, record): (String, Option<T>)) -> Option<(String, T)> {
    Some((name, record?))
}

impl<T> Book<T> {
    fn due(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_own(&self, path: &Path) -> bool {
        self.folder.join(path.name()).is_ok_and(|own| own == *path)
    }

    fn begins(&self, path: &Path) {
        if self.is_own(path) {
            *self.due().written.entry(path.name().to_owned()).or_default() += 1;
        }
    }

    fn wrote(&self, path: &Path) {
        if !self.is_own(path) {
            return;
        }
        let name = path.name().to_owned();
        let mut due = self.due();
        if let Entry::Occupied(mut count) = due.written.entry(name.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        due.names.insert(name);
    }
}

/// What is being read; due again where that is broken off.
struct Reading<'a, T> {
    book: &'a Book<T>,
    due: Due,
}

impl<T> Reading<'_, T> {
    fn done(mut self) {
        self.due = Due::default();
    }
}

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        let mut due = self.book.due();
        due.all |= self.due.all;
        due.names.append(&mut self.due.names);
    }
}

#[cfg(test)]
mod tests;
