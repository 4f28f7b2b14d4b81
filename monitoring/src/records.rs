//! This service's own records: where they stand, and how they are read.

mod budget;
mod incident;
mod target;

use chassis::records::{self, Stored};
use common::id::RequestId;
use common::port::store::Path;
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
