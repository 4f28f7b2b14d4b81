//! What a replica's container should be, and how it stands in a route.

use std::collections::BTreeMap;

use common::digest::ImageRef;
use common::id::{Generation, ReleaseNumber};
use common::name::InstanceName;
use common::port::container::{ContainerFile, ContainerSpec};
use common::port::edge::{Upstream, Weight};
use common::port::routes::WantedRoute;
use common::port::store::Version;
use common::record::deployment::{Deployment, Place, Slot};
use common::record::release::Release;

use super::share;

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

/// Where the edge finds replicas, and how many requests each gets for each of another's: a canary's together get its
/// share.
pub(crate) fn upstreams(deployment: &Deployment, slots: &[&Slot]) -> Vec<Upstream> {
    let is_canary = |slot: &Slot| slot.generation == deployment.rising();
    let canary = slots.iter().filter(|slot| is_canary(slot)).count();
    let (served, shared) = match &deployment.canary {
        Some(one) if canary > 0 && canary < slots.len() => {
            share::weights(one.share, slots.len() - canary, canary)
        }
        Some(_) | None => (Weight::ONE, Weight::ONE),
    };
    let upstream = |slot: &&Slot| {
        let Place { ip, host_port, .. } = *slot.place.as_ref()?;
        let weight = if is_canary(slot) { shared } else { served };
        Some(Upstream { ip, port: host_port, slot: slot.number, weight })
    };
    slots.iter().filter_map(upstream).collect()
}

/// The image that a generation runs, once it is known.
pub(crate) fn image_of(deployment: &Deployment, generation: Generation) -> Option<&ImageRef> {
    let served = deployment.serving.as_ref().filter(|served| served.generation == generation);
    served.map(|served| &served.image).or(deployment.image.as_ref())
}

/// The release that a replica runs: of the newest generation, or of the one that is served.
pub(crate) fn release_of(deployment: &Deployment, generation: Generation) -> ReleaseNumber {
    let served = deployment.serving.as_ref().filter(|served| served.generation == generation);
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
        upstreams: upstreams(deployment, &slots.iter().collect::<Vec<_>>()),
        image: image.to_string(),
        container_port: release.port,
        container_ids: slots.iter().filter_map(|slot| slot.container_id.clone()).collect(),
        edge: release.edge_options(),
    }
}
