//! This service's own records, placements and where replicas usually go; and reading what this service decides from.

use chassis::leading;
use chassis::records::{self, Stored};
use common::digest::ImageRef;
use common::id::{ReleaseNumber, RequestId};
use common::name::{LegacyName, NodeName};
use common::port::container::Limits;
use common::port::store::Path;
use common::record::deployment::{Deployment, Revision, Slot};
use common::record::instance::Instance;
use common::record::node::PortLease;
use common::record::owed::Owed;
use common::record::path;
use common::record::release::{Release, Strategy, UsualPlacement};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::shared::Shared;

/// How many records are read at once.
const AT_ONCE: usize = 64;

/// `placements/<hh>/<request id>`: a request for a node that is not answered yet. Once it is, the
/// answer is owed here until the bus has it; then the record goes, and the operation's outcome stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) schema: u32,
    pub(crate) request: RequestId,
    pub(crate) instance: LegacyName,
    pub(crate) asked_at: Timestamp,
    /// The answer, once there is one.
    #[serde(default)]
    pub(crate) owed: Vec<Owed>,
}

impl Placement {
    pub(crate) fn asked(request: RequestId, instance: LegacyName, at: Timestamp) -> Self {
        Placement { schema: 1, request, instance, asked_at: at, owed: Vec::new() }
    }
}

pub(crate) fn placements() -> Path {
    path::folder("placements")
}

pub(crate) fn placement_path(request: RequestId) -> Path {
    let name = request.to_string();
    let path = placements().join(&path::shard(&name)).and_then(|shard| shard.join(&name));
    path.expect("digits and hyphens make a path")
}

pub(crate) fn leases(node: &NodeName) -> Path {
    path::folder("ports").join(node.as_str()).expect("a node's name makes a path")
}

pub(crate) async fn placement(
    shared: &Shared,
    request: RequestId,
) -> Result<Option<Stored<Placement>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &placement_path(request)).await
}

pub(crate) async fn deployment(
    shared: &Shared,
    instance: &LegacyName,
) -> Result<Option<Stored<Deployment>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &path::deployment(instance)).await
}

pub(crate) async fn lease(
    shared: &Shared,
    node: &NodeName,
    port: u16,
) -> Result<Option<Stored<PortLease>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &path::node_port(node, port)).await
}

/// The ports of a node that are leased or in quarantine.
pub(crate) async fn leased_ports(
    shared: &Shared,
    node: &NodeName,
) -> Result<Vec<u16>, records::Error> {
    let names = shared.ports.store.children(&leases(node)).await?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Those of these ports of a node that are leased, and not in quarantine.
pub(crate) async fn leases_of(
    shared: &Shared,
    node: &NodeName,
    ports: &[u16],
) -> Result<Vec<PortLease>, records::Error> {
    let reads: Vec<_> = ports.iter().map(|port| lease(shared, node, *port)).collect();
    let found: Vec<Option<Stored<PortLease>>> =
        stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    let leases = found.into_iter().flatten().map(|stored| stored.record);
    Ok(leases.filter(|lease| lease.released_at.is_none()).collect())
}

/// What the container may use that an instance needs a place for: as the release says that its
/// deployment runs for this request, else the one its user asked for. None if nobody deploys it.
pub(crate) async fn limits(
    shared: &Shared,
    instance: &LegacyName,
    request: Option<RequestId>,
) -> Result<Option<Limits>, records::Error> {
    let release = release(shared, instance, request).await?;
    Ok(release.map(|release| release.limits))
}

/// What that release needs of a node, and where the app wants its replicas: else, as the platform has it.
pub(crate) async fn needs(
    shared: &Shared,
    instance: &LegacyName,
    request: Option<RequestId>,
) -> Result<Option<(Limits, Strategy)>, records::Error> {
    let release = release(shared, instance, request).await?;
    let usual = shared.config.placement;
    Ok(release.map(|release| (release.limits, release.placement.unwrap_or(usual))))
}

/// Says where replicas go of apps that do not say it: who moves them has to know.
pub(crate) async fn tell_usual_placement(shared: &Shared) -> Result<(), leading::Error> {
    let path = path::usual_placement();
    let told = UsualPlacement { schema: 1, strategy: shared.config.placement };
    let before: Option<Stored<UsualPlacement>> =
        records::load(shared.ports.store.as_ref(), &path).await?;
    if before.as_ref().is_some_and(|before| before.record == told) {
        return Ok(());
    }
    let version = before.map(|before| before.version);
    shared.seat.commit(vec![records::put(path, &told, version)]).await?;
    Ok(())
}

async fn release(
    shared: &Shared,
    instance: &LegacyName,
    request: Option<RequestId>,
) -> Result<Option<Release>, records::Error> {
    let store = shared.ports.store.as_ref();
    let (app, release) = match deployment(shared, instance).await? {
        Some(Stored { record, .. }) => (record.app.clone(), release_of(&record, request)),
        None => {
            let asked: Option<Stored<Instance>> =
                records::load(store, &path::instance(instance)).await?;
            let Some(Stored { record, .. }) = asked else { return Ok(None) };
            (record.app, record.release)
        }
    };
    let release: Option<Stored<Release>> =
        records::load(store, &path::release(&app, release)).await?;
    Ok(release.map(|release| release.record))
}

fn release_of(deployment: &Deployment, request: Option<RequestId>) -> ReleaseNumber {
    served(deployment, request).map_or(deployment.release, |served| served.release)
}

/// The image that the container of this request runs, once that is known.
pub(crate) fn image_of(deployment: &Deployment, request: Option<RequestId>) -> Option<&ImageRef> {
    served(deployment, request).map(|served| &served.image).or(deployment.image.as_ref())
}

/// A replica of what is served runs that, whatever else is on its way or has failed.
fn served(deployment: &Deployment, request: Option<RequestId>) -> Option<&Revision> {
    let asked = |slot: &&Slot| Some(slot.placement_request) == request;
    let generation = deployment.slots.iter().find(asked).map(|slot| slot.generation);
    deployment.serving.as_ref().filter(|served| Some(served.generation) == generation)
}
