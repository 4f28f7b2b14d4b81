//! This service's own records, and writing under its epoch.

mod alarm;
mod base;
mod budget;
mod departures;
mod papers;
mod provision;
mod registry;
mod repair;
mod restart;
mod rollout;
mod said;
mod uploads;

use chassis::records::{self, Stored};
use common::name::{LegacyName, NodeName};
use common::port::store::{Done, Op, Path, Version as StoredVersion};
use common::record::path;
use common::service::ServiceName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::target::{Family, Target};
use crate::shared::Shared;

pub(crate) use alarm::{Alarm, Subject};
pub(crate) use base::{Base, BaseHistory};
pub(crate) use budget::Budget;
pub(crate) use chassis::leading::Error;
pub(crate) use departures::{Departures, Taker};
pub(crate) use papers::{NodePapers, Paper};
pub(crate) use provision::{MOST_WAITING as MOST_WANTED, Making, Provision, Wanted};
pub(crate) use registry::{Filling, RegistryPlace};
pub(crate) use repair::Repair;
pub(crate) use restart::{Asked, By, InstanceRestart, MOST_WAITING, Restart, Stage, Work};
pub(crate) use rollout::{Instance, Refusal, Rollout, Run, Version};
pub(crate) use said::Said;
pub(crate) use uploads::{Upload, Uploads};

fn below(folder: &Path, name: &str) -> Path {
    folder.join(name).expect("names make paths")
}

pub(crate) fn restarts(family: Family) -> Path {
    path::folder(&format!("restarts/{}", family.as_str()))
}

pub(crate) fn restart_path(target: &Target) -> Path {
    below(&restarts(target.family()), target.name())
}

pub(crate) fn rollout_path(service: ServiceName) -> Path {
    path::folder(&format!("lifecycle/rollouts/{service}"))
}

pub(crate) fn repair_path(machine: &NodeName) -> Path {
    path::folder(&format!("lifecycle/repairs/{machine}"))
}

pub(crate) fn base_path(node: &NodeName) -> Path {
    path::folder(&format!("lifecycle/bases/{node}"))
}

pub(crate) fn papers_path(node: &NodeName) -> Path {
    path::folder(&format!("lifecycle/papers/{node}"))
}

pub(crate) fn uploads_path(node: &NodeName) -> Path {
    path::folder(&format!("lifecycle/uploads/{node}"))
}

pub(crate) fn alarm_path(subject: Subject) -> Path {
    path::folder(&format!("lifecycle/alarms/{}", subject.as_str()))
}

pub(crate) fn provision_path() -> Path {
    path::folder("lifecycle/provision")
}

/// The machine that was last taken away.
pub(crate) fn departures_path() -> Path {
    path::folder("lifecycle/departures")
}

pub(crate) fn registry_path() -> Path {
    path::folder("lifecycle/registry")
}

pub(crate) fn filling_path() -> Path {
    path::folder("lifecycle/filling")
}

pub(crate) fn verdicts() -> Path {
    path::folder("lifecycle/verdicts")
}

/// None where they are not the kind and the name of anything.
pub(crate) fn verdict_path(kind: &str, name: &str) -> Option<Path> {
    let kind = kind.parse::<LegacyName>().ok()?;
    let is_name = name.parse::<LegacyName>().is_ok() || name.parse::<NodeName>().is_ok();
    verdicts().join(&format!("{kind}.{name}")).ok().filter(|_| is_name)
}

/// When services and machines were last restarted, all together.
pub(crate) fn budget_path() -> Path {
    path::folder("lifecycle/budget")
}

/// Writes all or nothing, if this instance still leads; returns what became of each change.
pub(crate) async fn commit(shared: &Shared, changes: Vec<Op>) -> Result<Vec<Done>, Error> {
    shared.seat.commit(changes).await
}

/// Writes one record over the version it was read at, or makes it; returns its version, to be written over next.
pub(crate) async fn save<T: Serialize>(
    shared: &Shared,
    at: &Path,
    record: &T,
    version: Option<StoredVersion>,
) -> Result<StoredVersion, Error> {
    let done = commit(shared, vec![records::put(at.clone(), record, version)]).await?;
    let version = done.first().and_then(written);
    version.ok_or_else(|| records::Error::Changed.into())
}

/// A record of ours, or what it is before it was ever written.
pub(crate) async fn load<T: DeserializeOwned>(
    shared: &Shared,
    at: &Path,
) -> Result<Option<Stored<T>>, records::Error> {
    records::load(shared.ports.store.as_ref(), at).await
}

/// The version that a change has given to its record.
pub(crate) fn written(done: &Done) -> Option<StoredVersion> {
    done.version()
}
