//! Who refers to which bundle, as the records say: the newest releases of every app, what instances and their schedules
//! want, and what deployments run or may go back to.

use std::collections::{BTreeMap, BTreeSet};

use chassis::records;
use common::digest::Digest;
use common::id::ReleaseNumber;
use common::name::{AppName, LegacyName};
use common::port::Store;
use common::record::instance::Instance;
use common::record::path;
use common::record::release::{Release, Source};
use serde::Deserialize;

use crate::domain::collection::References;
use crate::records as ours;
use crate::shared::Shared;

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
    /// One record that cannot be read makes it unknown, not smaller. What is wanted goes from releases and schedules to
    /// instances, and from these to deployments: read in this order, nothing is missed that is on its way.
    pub(super) async fn read(&mut self, shared: &Shared) -> Result<References, records::Error> {
        let store = shared.ports.store.as_ref();
        store.sync().await?;
        let mut wanted = newest(store, shared.config.keep_releases).await?;
        let scheduled = scheduled(store).await?;
        for (_, name) in records::sharded(store, &path::folder("instances")).await? {
            let Ok(name) = name.parse::<LegacyName>() else { continue };
            let Some(stored) = records::load::<Instance>(store, &path::instance(&name)).await?
            else {
                continue;
            };
            let instance = stored.record;
            let releases = [Some(instance.release), scheduled.get(&name).copied()];
            for release in releases.into_iter().flatten() {
                let by = wanted.entry((instance.app.clone(), release)).or_default();
                by.insert(format!("wanted for {name}"));
            }
        }
        let mut references = References::new();
        for (_, name) in records::sharded(store, &path::folder("deployments")).await? {
            let Ok(name) = name.parse::<LegacyName>() else { continue };
            let Some(stored) = ours::deployment(shared, &name).await? else { continue };
            let deployment = stored.record;
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
        for (release, by) in wanted {
            if let Some(bundle) = self.bundle(store, &release).await? {
                references.entry(bundle).or_default().extend(by);
            }
        }
        Ok(references)
    }

    /// None of a release that is not there, or is made of an image.
    async fn bundle(
        &mut self,
        store: &dyn Store,
        release: &(AppName, ReleaseNumber),
    ) -> Result<Option<Digest>, records::Error> {
        if let Some(known) = self.made_of.get(release) {
            return Ok(known.clone());
        }
        let path = path::release(&release.0, release.1);
        let Some(stored) = records::load::<Release>(store, &path).await? else { return Ok(None) };
        let bundle = match stored.record.source {
            Source::Bundle { bundle, .. } => Some(bundle),
            Source::Image { .. } => None,
        };
        self.made_of.insert(release.clone(), bundle.clone());
        Ok(bundle)
    }
}

/// The newest releases of every app.
async fn newest(store: &dyn Store, count: usize) -> Result<Wanted, records::Error> {
    let mut wanted = Wanted::new();
    for name in store.children(&path::folder("apps")).await? {
        let Ok(app) = name.parse::<AppName>() else { continue };
        let releases = store.children(&path::releases(&app)).await?;
        let mut numbers: Vec<u32> = releases.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        for number in numbers.into_iter().rev().take(count) {
            let by = format!("{app} release {number}");
            wanted.insert((app.clone(), ReleaseNumber(number)), [by].into());
        }
    }
    Ok(wanted)
}

/// The releases that schedules name, by instance. Where none is named, the newest of the app is meant.
async fn scheduled(
    store: &dyn Store,
) -> Result<BTreeMap<LegacyName, ReleaseNumber>, records::Error> {
    let mut releases = BTreeMap::new();
    for (_, name) in records::sharded(store, &path::folder("schedules")).await? {
        let Ok(name) = name.parse::<LegacyName>() else { continue };
        let stored = records::load::<Scheduled>(store, &path::schedule(&name)).await?;
        let release = stored.and_then(|stored| stored.record.wish?.release);
        releases.extend(release.map(|release| (name, release)));
    }
    Ok(releases)
}
