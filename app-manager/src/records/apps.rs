//! `apps/<app>` and `apps/<app>/releases/<n>`; and `sequences/base-apps`, document 001's numbers of apps.

use chassis::records::{self, Error, Stored};
use common::id::ReleaseNumber;
use common::name::AppName;
use common::port::Store;
use common::port::store::{Op, Version};
use common::record::path;
use common::record::release::{App, Release};
use serde::{Deserialize, Serialize};

/// A release as it is stored: what every service reads, and what only this one does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRelease {
    #[serde(flatten)]
    pub(crate) release: Release,
    /// How many replicas a first deployment starts, if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replicas: Option<u32>,
}

/// The last number given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sequence {
    schema: u32,
    last: u64,
}

pub(crate) async fn load(store: &dyn Store, app: &AppName) -> Result<Option<Stored<App>>, Error> {
    super::find(store, &path::app(app)).await
}

/// All apps, by name. What is not readable is logged and left out: it costs one app.
pub(crate) async fn all(store: &dyn Store) -> Result<Vec<App>, Error> {
    let mut apps = Vec::new();
    for name in store.children(&path::folder("apps")).await? {
        let Ok(name) = name.parse::<AppName>() else { continue };
        let loaded = records::load::<App>(store, &path::app(&name)).await;
        if let Some(stored) = records::readable(loaded)? {
            apps.push(stored.record);
        }
    }
    Ok(apps)
}

pub(crate) async fn release(
    store: &dyn Store,
    app: &AppName,
    number: ReleaseNumber,
) -> Result<Option<StoredRelease>, Error> {
    let found = super::find::<StoredRelease>(store, &path::release(app, number)).await?;
    Ok(found.map(|stored| stored.record))
}

/// The newest releases of an app, newest first, at most `limit`.
pub(crate) async fn releases(
    store: &dyn Store,
    app: &AppName,
    limit: usize,
) -> Result<Vec<StoredRelease>, Error> {
    let names = store.children(&path::releases(app)).await?;
    let mut releases = Vec::new();
    for name in names.iter().rev().take(limit) {
        let Ok(number) = name.parse() else { continue };
        let path = path::release(app, ReleaseNumber(number));
        if let Some(stored) = records::load::<StoredRelease>(store, &path).await? {
            releases.push(stored.record);
        }
    }
    Ok(releases)
}

/// The next number for a base app, and the operation that takes it.
pub(crate) async fn next_base_app_id(store: &dyn Store) -> Result<(u64, Op), Error> {
    let path = path::folder("sequences/base-apps");
    let stored = records::load::<Sequence>(store, &path).await?;
    let (last, version) =
        stored.map_or((0, None), |stored| (stored.record.last, Some(stored.version)));
    let next = Sequence { schema: 1, last: last + 1 };
    Ok((next.last, records::put(path, &next, version)))
}

/// The operation that writes an app over the version it was read at, or makes it.
pub(crate) fn put(app: &App, version: Option<Version>) -> Op {
    records::put(path::app(&app.name), app, version)
}

/// The operation that makes a release; releases are never changed.
pub(crate) fn put_release(release: &StoredRelease) -> Op {
    let path = path::release(&release.release.app, release.release.number);
    records::put(path, release, None)
}
