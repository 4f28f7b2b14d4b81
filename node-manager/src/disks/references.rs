//! Who refers to which bundle, as the records say: the newest releases of every app, what instances and their schedules
//! want, and what deployments run or may go back to.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use chassis::records;
use common::digest::Digest;
use common::id::ReleaseNumber;
use common::name::{AppName, LegacyName};
use common::port::Store;
use common::port::store::{Error as StoreError, Path};
use common::record::instance::Instance;
use common::record::path;
use common::record::release::{Release, Source};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use crate::domain::collection::References;
use crate::records as ours;
use crate::shared::Shared;

const AT_ONCE: usize = 32;

/// Why it is not known who refers to bundles.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Names that one version takes another one may refuse.
    #[error("what is kept below {folder} as {name:?} has no name that is known here")]
    Name { folder: Path, name: String },
}

/// What a record is called that was found in this folder.
fn parsed<T: FromStr>(folder: &Path, name: &str) -> Result<T, Error> {
    name.parse().map_err(|_| Error::Name { folder: folder.clone(), name: name.to_owned() })
}

/// What is read of each of these, in their order.
async fn each<K, T, F>(keys: Vec<K>, read: impl Fn(K) -> F) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    stream::iter(keys).map(read).buffered(AT_ONCE).try_collect().await
}

/// The names of a sharded collection.
async fn names(store: &dyn Store, folder: &Path) -> Result<Vec<LegacyName>, Error> {
    let found = records::sharded(store, folder).await?;
    found.iter().map(|(_, name)| parsed(folder, name)).collect()
}

/// What is read of a schedule: the app manager's own record.
#[derive(Debug, Deserialize)]
struct Scheduled {
    wish: Option<Wish>,
}

#[derive(Debug, Deserialize)]
struct Wish {
    #[serde(default)]
    release: Option<ReleaseNumber>,
}

/// Reads them; what releases are made of is remembered, for they never change.
#[derive(Debug, Default)]
pub(super) struct Reader {
    made_of: BTreeMap<(AppName, ReleaseNumber), Option<Digest>>,
}

/// Releases, and for whom they are kept.
type Wanted = BTreeMap<(AppName, ReleaseNumber), BTreeSet<String>>;

impl Reader {
    /// One record that cannot be read, or a name that is not known, makes it unknown, not smaller. What is wanted goes from
    /// releases and schedules to instances, and from these to deployments: read in this order, nothing is missed that is on
    /// its way.
    pub(super) async fn read(&mut self, shared: &Shared) -> Result<References, Error> {
        let store = shared.ports.store.as_ref();
        store.sync().await?;
        let mut wanted = newest(store, shared.config.keep_releases).await?;
        let scheduled = scheduled(store).await?;
        let instances = names(store, &path::folder("instances")).await?;
        let instance = |name| async move {
            let stored = records::load::<Instance>(store, &path::instance(&name)).await?;
            Ok(stored.map(|stored| (name, stored.record)))
        };
        for (name, instance) in each(instances, instance).await?.into_iter().flatten() {
            let releases = [Some(instance.release), scheduled.get(&name).copied()];
            for release in releases.into_iter().flatten() {
                let by = wanted.entry((instance.app.clone(), release)).or_default();
                by.insert(format!("wanted for {name}"));
            }
        }
        let mut references = References::new();
        let deployments = names(store, &path::folder("deployments")).await?;
        let deployment = |name| async move {
            let stored = ours::deployment(shared, &name).await?;
            Ok(stored.map(|stored| (name, stored.record)))
        };
        for (name, deployment) in each(deployments, deployment).await?.into_iter().flatten() {
            let by = format!("kept for {name}");
            let served = deployment.serving.as_ref().map(|serving| serving.release);
            let kept = deployment.releases.iter().map(|kept| kept.number);
            for release in [deployment.release].into_iter().chain(served).chain(kept) {
                wanted.entry((deployment.app.clone(), release)).or_default().insert(by.clone());
            }
            let built_of = deployment.releases.iter().filter_map(|kept| kept.bundle.as_ref());
            for bundle in built_of.chain(&deployment.origin.bundle) {
                references.entry(bundle.clone()).or_default().insert(by.clone());
            }
        }
        self.made_of.retain(|release, _| wanted.contains_key(release));
        self.read_releases(store, &wanted).await?;
        for (release, by) in wanted {
            if let Some(Some(bundle)) = self.made_of.get(&release) {
                references.entry(bundle.clone()).or_default().extend(by);
            }
        }
        Ok(references)
    }

    /// What these are made of, if it is not known. What was read stays so where another one cannot be.
    async fn read_releases(&mut self, store: &dyn Store, wanted: &Wanted) -> Result<(), Error> {
        let unknown = wanted.keys().filter(|release| !self.made_of.contains_key(release));
        let unknown: Vec<(AppName, ReleaseNumber)> = unknown.cloned().collect();
        let read = |(app, number): (AppName, ReleaseNumber)| async move {
            let path = path::release(&app, number);
            let stored = records::load::<Release>(store, &path).await?;
            Ok::<_, Error>(stored.map(|stored| ((app, number), stored.record.source)))
        };
        let mut found = stream::iter(unknown).map(read).buffered(AT_ONCE);
        while let Some(read) = found.try_next().await? {
            let Some((release, source)) = read else { continue };
            let bundle = match source {
                Source::Bundle { bundle, .. } => Some(bundle),
                Source::Image { .. } => None,
            };
            self.made_of.insert(release, bundle);
        }
        Ok(())
    }
}

/// The newest releases of every app.
async fn newest(store: &dyn Store, count: usize) -> Result<Wanted, Error> {
    let mut wanted = Wanted::new();
    let folder = path::folder("apps");
    let apps = store.children(&folder).await?;
    let apps: Result<Vec<AppName>, Error> = apps.iter().map(|name| parsed(&folder, name)).collect();
    let releases = |app: AppName| async move {
        let folder = path::releases(&app);
        let found = store.children(&folder).await?;
        let numbers: Result<Vec<u32>, Error> =
            found.iter().map(|name| parsed(&folder, name)).collect();
        Ok((app, numbers?))
    };
    for (app, mut numbers) in each(apps?, releases).await? {
        numbers.sort_unstable();
        for number in numbers.into_iter().rev().take(count) {
            let by = format!("{app} release {number}");
            wanted.insert((app.clone(), ReleaseNumber(number)), [by].into());
        }
    }
    Ok(wanted)
}

/// The releases that schedules name, by instance. Where none is named, the newest of the app is meant.
async fn scheduled(store: &dyn Store) -> Result<BTreeMap<LegacyName, ReleaseNumber>, Error> {
    let schedules = names(store, &path::folder("schedules")).await?;
    let release = |name| async move {
        let stored = records::load::<Scheduled>(store, &path::schedule(&name)).await?;
        let release = stored.and_then(|stored| stored.record.wish?.release);
        Ok(release.map(|release| (name, release)))
    };
    Ok(each(schedules, release).await?.into_iter().flatten().collect())
}
