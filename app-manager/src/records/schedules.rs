//! `schedules/<hh>/<instance>`: when an instance should run, and how far that is.

use chassis::records::{self, Error, Stored};
use common::id::{Generation, ReleaseNumber, RequestId};
use common::name::LegacyName;
use common::port::Store;
use common::port::store::{Op, Version};
use common::record::path;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::schedule::Schedule;
use crate::domain::schedule::calendar::Calendar;
use crate::domain::schedule::progress::{Due, Progress};

/// How many records are read at once when all are read.
const AT_ONCE: usize = 32;

/// An instance's schedule, or that it has none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) schema: u32,
    pub(crate) instance: LegacyName,
    /// Counts what people asked of this schedule: it is the record's tag over HTTP.
    pub(crate) generation: Generation,
    /// The request that made the schedule: those of its starts and ends are derived from it.
    pub(crate) request: RequestId,
    /// None: it was taken away, and the record is kept so that its generation goes on.
    pub(crate) wish: Option<Wish>,
    pub(crate) updated_at: Timestamp,
}

/// What is wanted, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) schedule: Schedule,
    /// Which release each start deploys; the newest at that time if none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<ReleaseNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replicas: Option<u32>,
    pub(crate) progress: Progress,
}

impl Scheduled {
    /// Whether it will never do anything again.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let Some(wish) = &self.wish else { return true };
        // What is not understood is not thrown away.
        let calendar = Calendar::of(&wish.schedule);
        calendar.is_ok_and(|calendar| wish.progress.due(&calendar, now) == Due::Over)
    }
}

pub(crate) async fn load(
    store: &dyn Store,
    name: &LegacyName,
) -> Result<Option<Stored<Scheduled>>, Error> {
    super::find(store, &path::schedule(name)).await
}

/// The names of all instances that have or had a schedule.
pub(crate) async fn names(store: &dyn Store) -> Result<Vec<LegacyName>, Error> {
    let found = records::sharded(store, &path::folder("schedules")).await?;
    let mut names: Vec<LegacyName> =
        found.into_iter().filter_map(|(_, name)| name.parse().ok()).collect();
    names.sort();
    Ok(names)
}

/// All schedules, by instance. What is not readable is logged and left out: it costs one schedule.
pub(crate) async fn all(store: &dyn Store) -> Result<Vec<Stored<Scheduled>>, Error> {
    let names = names(store).await?;
    let paths = names.iter().map(path::schedule);
    let loaded: Vec<Option<Stored<Scheduled>>> = stream::iter(paths)
        .map(
            |path| async move { records::readable(records::load::<Scheduled>(store, &path).await) },
        )
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(loaded.into_iter().flatten().collect())
}

/// The operation that writes a schedule over the version it was read at, or makes it.
pub(crate) fn put(scheduled: &Scheduled, version: Option<Version>) -> Op {
    records::put(path::schedule(&scheduled.instance), scheduled, version)
}
