//! Typed reading and writing of records.

use common::port::Store;
use common::port::store::{self, Done, Op, Path, Precondition, Version};
use common::record;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Someone changed a record in the meantime: read again and decide again.
    #[error("the record changed in the meantime")]
    Changed,
    #[error("the record {path} is not readable")]
    Unreadable {
        path: Path,
        #[source]
        source: record::Unreadable,
    },
}

impl Error {
    /// Whether reading and deciding again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Store(err) => err.is_retryable(),
            Error::Changed => true,
            Error::Unreadable { .. } => false,
        }
    }
}

/// A record with the version it was read at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    pub record: T,
    pub version: Version,
}

/// Reads a record; it may be out of date, so whatever is decided from it is written with its version.
pub async fn load<T: DeserializeOwned>(
    store: &dyn Store,
    path: &Path,
) -> Result<Option<Stored<T>>, Error> {
    let Some(entry) = store.get(path).await? else { return Ok(None) };
    let record = record::decode(&entry.value)
        .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
    Ok(Some(Stored { record, version: entry.version }))
}

/// What was read as one of many. What is not readable is logged and left out: it costs one record.
pub fn readable<T>(loaded: Result<Option<Stored<T>>, Error>) -> Result<Option<Stored<T>>, Error> {
    match loaded {
        Err(err @ Error::Unreadable { .. }) => {
            tracing::error!(error = &err as &dyn std::error::Error, "a record is left out");
            Ok(None)
        }
        loaded => loaded,
    }
}

/// The operation that writes a record over the version it was read at, or makes it.
pub fn put<T: Serialize>(path: Path, record: &T, version: Option<Version>) -> Op {
    let precondition = version.map_or(Precondition::Absent, Precondition::Version);
    Op::Put { path, value: record::encode(record), precondition }
}

/// Writes one record over the version it was read at, or makes it; returns its new version.
///
/// After a lost connection the outcome is looked up: if the stored bytes are the ones to be
/// written, they were written.
pub async fn save<T: Serialize>(
    store: &dyn Store,
    path: &Path,
    record: &T,
    version: Option<Version>,
) -> Result<Version, Error> {
    let value = record::encode(record);
    match store.commit(vec![put(path.clone(), record, version)]).await {
        Ok(done) => done.first().and_then(Done::version).ok_or(Error::Changed),
        Err(store::Error::Conflict { .. }) => Err(Error::Changed),
        Err(store::Error::OutcomeUnknown(_)) => {
            store.sync().await?;
            match store.get(path).await? {
                Some(entry) if entry.value == value => Ok(entry.version),
                Some(_) | None => Err(Error::Changed),
            }
        }
        Err(err) => Err(err.into()),
    }
}

/// All records of a sharded collection: `(path, name)` of each.
pub async fn sharded(store: &dyn Store, folder: &Path) -> Result<Vec<(Path, String)>, Error> {
    let mut found = Vec::new();
    for shard in store.children(folder).await? {
        let Ok(shard) = folder.join(&shard) else { continue };
        for name in store.children(&shard).await? {
            if let Ok(path) = shard.join(&name) {
                found.push((path, name));
            }
        }
    }
    Ok(found)
}
