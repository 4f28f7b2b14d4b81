//! What a replica's container should be, and how it stands in a route.

use std::collections::BTreeMap;

use common::digest::ImageRef;
use common::id::ReleaseNumber;
use common::name::InstanceName;
use common::port::container::{ContainerFile, ContainerSpec};
use common::port::edge::{Upstream, Weight};
use common::port::routes::WantedRoute;
use common::port::store::Version;
use common::record::deployment::{Deployment, Place, Slot};
use common::record::release::Release;

/// Where document 001's paths put an instance's completed `app.json`.
const APP_JSON: &str = "/app/app.json";

/// What all replicas of a generation run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) image: &'a ImageRef,
    pub(crate) release: &'a Release,
    /// The instance's completed `app.json`.
    pub(crate) app_json: Option<&'a str>,
}

/// The container of a replica at its place. The same inputs give the same container, so that making
/// it again changes nothing.
pub(crate) fn container(
    name: &InstanceName,
    slot: &Slot,
    place: &Place,
    run: &Run<'_>,
) -> ContainerSpec {
    let Run { image, release, app_json } = *run;
    ContainerSpec {
        instance: name.clone(),
        slot: slot.number,
        generation: slot.generation,
        image: image.clone(),
        container_port: release.port,
        host_port: place.host_port,
        environment: environment(name, place, release),
        limits: release.limits,
        read_only: release.read_only,
        files: app_json
            .into_iter()
            .map(|content| ContainerFile { path: APP_JSON.to_owned(), content: content.to_owned() })
            .collect(),
        health_path: release.health_path.clone(),
    }
}

/// The release's own environment and what every app is told; the platform's names win.
fn environment(
    instance: &InstanceName,
    place: &Place,
    release: &Release,
) -> BTreeMap<String, String> {
    let mut environment = release.environment.clone();
    let told = [
        ("AVISHKAR_APP", release.app.to_string()),
        ("AVISHKAR_INSTANCE", instance.to_string()),
        ("AVISHKAR_NODE", place.node.to_string()),
        ("AVISHKAR_RELEASE", release.number.to_string()),
        ("PORT", release.port.to_string()),
    ];
    environment.extend(told.map(|(name, value)| (name.to_owned(), value)));
    environment
}

/// Where the edge finds a replica.
pub(crate) fn upstream(slot: &Slot) -> Option<Upstream> {
    let place = slot.place.as_ref()?;
    Some(Upstream { ip: place.ip, port: place.host_port, slot: slot.number, weight: Weight::ONE })
}

/// The release that a replica runs: of the newest generation, or of the one that is served.
pub(crate) fn release_of(deployment: &Deployment, slot: &Slot) -> ReleaseNumber {
    let served = deployment.serving.as_ref().filter(|served| served.generation == slot.generation);
    served.map_or(deployment.release, |served| served.release)
}

/// The route to these replicas. It carries the newest generation, whosever the replicas are: a route
/// never goes back.
pub(crate) fn route(
    (deployment, version): (&Deployment, Version),
    slots: &[Slot],
    image: &ImageRef,
    release: &Release,
) -> WantedRoute {
    WantedRoute {
        instance: deployment.instance.clone(),
        generation: deployment.generation,
        revision: version.0,
        upstreams: slots.iter().filter_map(upstream).collect(),
        image: image.to_string(),
        container_port: release.port,
        container_ids: slots.iter().filter_map(|slot| slot.container_id.clone()).collect(),
        edge: release.edge.clone(),
    }
}
