//! This service's records: where they stand, their stored forms, how they are read and changed.
//!
//! Owns `users/`, `apps/`, `instances/`, `schedules/`, `requests/`, `sequences/` and `first-admin` under `/avishkar`; reads
//! `deployments/`, `nodes/` and `alive/`. Never waits for anything but the store.

pub(crate) mod apps;
pub(crate) mod instances;
pub(crate) mod requests;
pub(crate) mod schedules;
pub(crate) mod users;

use std::future::Future;

use chassis::records::{self, Error, Stored};
use common::port::Store;
use common::port::store::Path;
use serde::de::DeserializeOwned;

/// How often a decision is made anew because a record changed under it.
const TRIES: u32 = 30;

/// Reads a record; that there is none is believed only after the store has caught up.
pub(crate) async fn find<T: DeserializeOwned>(
    store: &dyn Store,
    path: &Path,
) -> Result<Option<Stored<T>>, Error> {
    if let Some(stored) = records::load(store, path).await? {
        return Ok(Some(stored));
    }
    store.sync().await?;
    records::load(store, path).await
}

/// Decides again, from what is true then, as long as records change in between.
pub(crate) async fn deciding<T, E, F>(
    store: &dyn Store,
    mut decide: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: From<Error> + IsChanged,
{
    for _ in 1..TRIES {
        match decide().await {
            Err(err) if err.is_changed() => store.sync().await.map_err(Error::from)?,
            result => return result,
        }
    }
    decide().await
}

/// Whether an error only says that a record changed in the meantime.
pub(crate) trait IsChanged {
    fn is_changed(&self) -> bool;
}

impl IsChanged for Error {
    fn is_changed(&self) -> bool {
        matches!(self, Error::Changed)
    }
}
