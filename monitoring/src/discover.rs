//! What there is to look at: services as document 001's registry or the lifecycle manager has them, nodes, apps
//! with a route.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chassis::records::{self, Stored};
use common::id::{Generation, ReleaseNumber};
use common::name::{AppName, LegacyName, NodeName};
use common::port::store::Path;
use common::record::deployment::Deployment;
use common::record::node::{Alive, Verdict};
use common::record::path;
use common::record::platform::{InstanceState, RunningService};
use common::record::release::Release;
use common::record::route::{Route, RouteGoal};
use common::service::ServiceName;

use crate::config::Services;
use crate::domain::target::Target;
use crate::shared::Shared;

/// Where an app is asked that does not say where it wants to be.
const ROOT: &str = "/";

/// Everything there is.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) services: BTreeMap<Target, Place>,
    /// Each with what the node manager says of it.
    pub(crate) nodes: BTreeMap<Target, Option<Verdict>>,
    pub(crate) apps: BTreeMap<LegacyName, FoundApp>,
}

/// An app that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundApp {
    /// Where it says that it is to be asked; without, any answer is as good as another.
    path: Option<String>,
    is_model: bool,
}

impl FoundApp {
    pub(crate) fn target(&self, name: &LegacyName) -> Target {
        let name = name.clone();
        if self.is_model { Target::Model { name } } else { Target::App { name } }
    }

    /// Where it is asked.
    pub(crate) fn asked_at(&self) -> &str {
        self.path.as_deref().unwrap_or(ROOT)
    }

    /// Whether it has said where it answers in time.
    pub(crate) fn says_path(&self) -> bool {
        self.path.is_some()
    }
}

/// Where a service is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// As it stands in the registry.
    Plain(String),
    Inside(SocketAddr),
}

/// What releases say of how apps are looked at: it changes with a deployment only.
#[derive(Debug, Default)]
pub(crate) struct KnownApps(BTreeMap<LegacyName, (Seen, FoundApp)>);

/// Of which route, and of which app's release, something is known. During the watch of a release the route is
/// the new one's, and what the deployment names as served is still the release before.
type Seen = (Generation, Option<(AppName, ReleaseNumber)>);

/// One entry of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: LegacyName,
    pub(crate) instance: LegacyName,
    /// `ip:port` as it stands there.
    pub(crate) address: String,
}

pub(crate) async fn all(shared: &Shared, known: &mut KnownApps) -> Result<Found, records::Error> {
    let services = match shared.config.services {
        Services::Registry => registered(shared).await?,
        Services::Running => running(shared).await?,
    };
    Ok(Found { services, nodes: nodes(shared).await?, apps: apps(shared, known).await? })
}

async fn registered(shared: &Shared) -> Result<BTreeMap<Target, Place>, records::Error> {
    let entries = registry(shared, "/services").await?.into_iter();
    let service = |Entry { name, instance, address }| {
        (Target::Service { name, instance }, Place::Plain(address))
    };
    Ok(entries.map(service).collect())
}

/// What is only about to run, or about to end, need not answer.
async fn running(shared: &Shared) -> Result<BTreeMap<Target, Place>, records::Error> {
    let store = shared.ports.store.as_ref();
    let mut services = BTreeMap::new();
    for name in store.children(&path::folder("running")).await? {
        let Ok(service) = name.parse::<ServiceName>() else { continue };
        let at = path::running_service(service);
        let found = records::readable(records::load::<RunningService>(store, &at).await)?;
        let instances = found.into_iter().flat_map(|stored| stored.record.instances);
        for instance in instances {
            let (Some(address), Ok(name), Ok(node)) = (
                instance.internal,
                service.registry_name().parse(),
                instance.node.as_str().parse(),
            ) else {
                continue;
            };
            if matches!(instance.state, InstanceState::Ready | InstanceState::Silent) {
                let target = Target::Service { name, instance: node };
                services.insert(target, Place::Inside(address));
            }
        }
    }
    Ok(services)
}

/// The entries below `/services` or `/apps`. Names that are none of document 001's are left out.
pub(crate) async fn registry(shared: &Shared, root: &str) -> Result<Vec<Entry>, records::Error> {
    let store = shared.ports.store.as_ref();
    let root: Path = root.parse().expect("a constant path is one");
    let mut entries = Vec::new();
    for (folder, name) in below(&root, store.children(&root).await?) {
        for (path, instance) in below(&folder, store.children(&folder).await?) {
            let Some(entry) = store.get(&path).await? else { continue };
            let Ok(address) = std::str::from_utf8(&entry.value) else { continue };
            let (name, address) = (name.clone(), address.trim().to_owned());
            entries.push(Entry { name, instance, address });
        }
    }
    Ok(entries)
}

fn below(folder: &Path, names: Vec<String>) -> Vec<(Path, LegacyName)> {
    let named = |name: String| Some((folder.join(&name).ok()?, name.parse().ok()?));
    names.into_iter().filter_map(named).collect()
}

/// Only enrolled nodes: of a dismissed one the last verdict stays.
async fn nodes(shared: &Shared) -> Result<BTreeMap<Target, Option<Verdict>>, records::Error> {
    let store = shared.ports.store.as_ref();
    let mut nodes = BTreeMap::new();
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let alive = records::readable(records::load::<Alive>(store, &path::alive(&name)).await)?;
        nodes.insert(Target::Node { name }, alive.map(|stored| stored.record.verdict));
    }
    Ok(nodes)
}

/// An app without a route that is served was stopped, or is not deployed yet, and one without replicas is at rest: that
/// is no failure.
async fn apps(
    shared: &Shared,
    known: &mut KnownApps,
) -> Result<BTreeMap<LegacyName, FoundApp>, records::Error> {
    let store = shared.ports.store.as_ref();
    let mut apps = BTreeMap::new();
    for name in store.children(&path::folder("routes")).await? {
        let Ok(name) = name.parse::<LegacyName>() else { continue };
        let route = records::readable(records::load::<Route>(store, &path::route(&name)).await)?;
        let Some(Stored { record, .. }) = route else { continue };
        let is_served = record.goal == RouteGoal::Served && !record.upstreams.is_empty();
        if is_served && !is_front_door(shared, &name).await? {
            let app = known.of(shared, &name, record.generation).await?;
            apps.insert(name, app);
        }
    }
    known.0.retain(|name, _| apps.contains_key(name));
    Ok(apps)
}

/// The platform's own services have routes, too, which nobody deployed: they are looked at as services.
async fn is_front_door(shared: &Shared, name: &LegacyName) -> Result<bool, records::Error> {
    let is_named = |service: &ServiceName| service.registry_name() == name.as_str();
    if !ServiceName::ALL.iter().any(is_named) {
        return Ok(false);
    }
    Ok(shared.ports.store.get(&path::deployment(name)).await?.is_none())
}

impl KnownApps {
    async fn of(
        &mut self,
        shared: &Shared,
        name: &LegacyName,
        generation: Generation,
    ) -> Result<FoundApp, records::Error> {
        let served = served_release(shared, name).await?;
        let seen = (generation, served);
        if let Some((known, app)) = self.0.get(name)
            && *known == seen
        {
            return Ok(app.clone());
        }
        let release = match &seen.1 {
            Some((app, number)) => {
                let at = path::release(app, *number);
                records::readable(records::load::<Release>(shared.ports.store.as_ref(), &at).await)?
            }
            None => None,
        };
        let release = release.map(|stored| stored.record);
        let is_model = release.as_ref().is_some_and(Release::is_model);
        let app = FoundApp { path: release.and_then(|release| release.health_path), is_model };
        self.0.insert(name.clone(), (seen, app.clone()));
        Ok(app)
    }
}

/// None for what another program registered.
async fn served_release(
    shared: &Shared,
    name: &LegacyName,
) -> Result<Option<(AppName, ReleaseNumber)>, records::Error> {
    let store = shared.ports.store.as_ref();
    let at = path::deployment(name);
    let deployment = records::readable(records::load::<Deployment>(store, &at).await)?;
    let Some(Stored { record, .. }) = deployment else { return Ok(None) };
    let number = record.serving.map_or(record.release, |serving| serving.release);
    Ok(Some((record.app, number)))
}
