//! This service's own records, and writing under its epoch.

mod budget;
mod incident;
mod target;

use chassis::records::{self, Stored};
use common::id::RequestId;
use common::port::bus;
use common::port::store::{self, Op, Path};
use common::record::path;

use crate::domain::target::Target;
use crate::shared::Shared;

pub(crate) use budget::BudgetRecord;
pub(crate) use incident::{Incident, OwedNotice, Phase, asks_for_restart};
pub(crate) use target::TargetRecord;

pub(crate) fn targets() -> Path {
    path::folder("monitoring/targets")
}

pub(crate) fn incidents() -> Path {
    path::folder("monitoring/incidents")
}

pub(crate) fn budget_path() -> Path {
    path::folder("monitoring/budget")
}

/// `monitoring/targets/<hh>/<kind>.<name>`.
pub(crate) fn target_path(target: &Target) -> Path {
    sharded(&targets(), &target.key())
}

/// `monitoring/incidents/<hh>/<incident>`.
pub(crate) fn incident_path(incident: RequestId) -> Path {
    sharded(&incidents(), &incident.to_string())
}

fn sharded(folder: &Path, name: &str) -> Path {
    let path = folder.join(&path::shard(name)).and_then(|shard| shard.join(name));
    path.expect("names and ids make paths")
}

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    /// Another instance leads: this one must not write any more.
    #[error("another instance of monitoring leads")]
    Deposed,
    /// Nothing is written before the lead was taken.
    #[error("this instance does not lead")]
    NotLeading,
    #[error("the bus did not take a message")]
    Bus(#[from] bus::Error),
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Error::Records(err.into())
    }
}

impl Error {
    /// Whether someone changed a record in between, or nobody knows: read and decide again.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Error::Records(records::Error::Changed))
    }
}

/// Writes all or nothing, if this instance still leads. [`records::Error::Changed`] asks to read and decide
/// again: a record changed, or nobody knows whether the write was done.
pub(crate) async fn commit(shared: &Shared, changes: Vec<Op>) -> Result<(), Error> {
    let mut ops = vec![shared.lead().ok_or(Error::NotLeading)?.check()];
    ops.extend(changes);
    match shared.ports.store.commit(ops).await {
        Ok(_) => Ok(()),
        Err(store::Error::Conflict { index: 0 }) => {
            shared.depose();
            Err(Error::Deposed)
        }
        Err(store::Error::Conflict { .. } | store::Error::OutcomeUnknown(_)) => {
            shared.ports.store.sync().await?;
            Err(records::Error::Changed.into())
        }
        Err(err) => Err(err.into()),
    }
}

pub(crate) async fn target(
    shared: &Shared,
    target: &Target,
) -> Result<Option<Stored<TargetRecord>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &target_path(target)).await
}

pub(crate) async fn incident(
    shared: &Shared,
    incident: RequestId,
) -> Result<Option<Stored<Incident>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &incident_path(incident)).await
}

pub(crate) async fn budget(
    shared: &Shared,
) -> Result<Option<Stored<BudgetRecord>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &budget_path()).await
}

/// All records of a collection that can be read.
pub(crate) async fn all<T: serde::de::DeserializeOwned>(
    shared: &Shared,
    folder: &Path,
) -> Result<Vec<Stored<T>>, records::Error> {
    let store = shared.ports.store.as_ref();
    let mut found = Vec::new();
    for (path, _) in records::sharded(store, folder).await? {
        found.extend(records::readable(records::load(store, &path).await)?);
    }
    Ok(found)
}
