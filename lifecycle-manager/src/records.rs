//! This service's own records, and writing under its epoch.

mod alarm;
mod budget;
mod provision;
mod registry;
mod repair;
mod restart;
mod rollout;
mod said;

use chassis::records::{self, Stored};
use common::name::{LegacyName, NodeName};
use common::port::bus;
use common::port::store::{self, Done, Op, Path, Version as StoredVersion};
use common::record::path;
use common::service::ServiceName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::brake::Kind;
use crate::domain::target::{Family, Target};
use crate::shared::Shared;

pub(crate) use alarm::Alarm;
pub(crate) use budget::Budget;
pub(crate) use provision::{MOST_WAITING as MOST_WANTED, Making, Provision, Wanted};
pub(crate) use registry::RegistryPlace;
pub(crate) use repair::Repair;
pub(crate) use restart::{Asked, By, InstanceRestart, MOST_WAITING, Restart, Stage, Work};
pub(crate) use rollout::{Instance, Refusal, Rollout, Version};
pub(crate) use said::Said;

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

pub(crate) fn alarm_path(kind: Kind) -> Path {
    path::folder(&format!("lifecycle/alarms/{}", kind.as_str()))
}

pub(crate) fn provision_path() -> Path {
    path::folder("lifecycle/provision")
}

pub(crate) fn registry_path() -> Path {
    path::folder("lifecycle/registry")
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

/// Why something was not read, written or done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    /// Another instance leads: this one must not act any more.
    #[error("another lifecycle manager leads")]
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

/// Writes all or nothing, if this instance still leads; returns what became of each change. [`records::Error::Changed`] asks to read and decide again: a
/// record changed, or nobody knows whether the write was done.
pub(crate) async fn commit(shared: &Shared, changes: Vec<Op>) -> Result<Vec<Done>, Error> {
    let mut ops = vec![shared.lead().ok_or(Error::NotLeading)?.check()];
    ops.extend(changes);
    match shared.ports.store.commit(ops).await {
        Ok(done) => Ok(done.into_iter().skip(1).collect()),
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
    match done {
        Done::Written { version, .. } => Some(*version),
        Done::Deleted | Done::Checked => None,
    }
}
