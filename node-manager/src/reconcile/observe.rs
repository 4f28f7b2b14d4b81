//! What the nodes offer an instance right now: the candidates of a placement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chassis::records;
use common::id::RequestId;
use common::name::{LegacyName, NodeName};
use common::port::container::Limits;
use common::port::disk::Disk;
use common::port::nodes::NodeUse;
use common::record::deployment::{Deployment, Slot, SlotState};
use common::record::kept::Way;
use common::record::node::{Node, PortLease};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::domain::lease::next_port;
use crate::domain::placement::{Candidate, Promised};
use crate::domain::room::{self, Room};
use crate::records as ours;
use crate::shared::Shared;

/// How many nodes' leases are read at once.
const NODES_AT_ONCE: usize = 16;

/// All nodes as candidates for one more container of the instance, if it has a name yet: the one that was asked for by
/// `request`, else one of its newest generation.
pub(crate) async fn candidates(
    shared: &Shared,
    instance: Option<&LegacyName>,
    request: Option<RequestId>,
) -> Result<Vec<Candidate>, records::Error> {
    let deployment = match instance {
        Some(instance) => ours::deployment(shared, instance).await?.map(|stored| stored.record),
        None => None,
    };
    let placed = deployment.as_ref().map(Placed::of);
    let mut limits = BTreeMap::new();
    let nodes = shared.members().all();
    let disks: BTreeMap<NodeName, Arc<Disk>> = nodes
        .iter()
        .filter_map(|node| Some((node.name.clone(), shared.disks.of(&node.name)?)))
        .collect();
    let image = deployment.as_ref().and_then(|deployment| ours::image_of(deployment, request));
    let app = deployment.as_ref().map(|deployment| &deployment.app);
    let goes_back =
        deployment.as_ref().is_some_and(|deployment| deployment.origin.way == Way::RolledBack);
    // Where it was placed first, it may be the image that could not be had.
    let is_again =
        deployment.as_ref().is_some_and(|deployment| is_placed_again(deployment, request));
    let better = deployment.as_ref().and_then(|deployment| moves_to(deployment, request));
    let looked = disks.values().map(Arc::as_ref);
    let bytes = app.map_or(0, |app| room::size(looked, app, image));
    let reads: Vec<_> = nodes.iter().map(|node| leased(shared, node)).collect();
    let leased: Vec<Leased> = stream::iter(reads).buffered(NODES_AT_ONCE).try_collect().await?;
    let mut candidates = Vec::with_capacity(nodes.len());
    for (node, leased) in nodes.iter().zip(leased) {
        let room = disks.get(&node.name).map(|disk| {
            let added = app.map_or(bytes, |app| room::added(disk, app, bytes));
            Room::on(disk, image, added)
        });
        let found =
            candidate(shared, (node, leased), instance, placed.as_ref(), &mut limits).await?;
        let fetches = (goes_back || is_again) && !room.is_some_and(Room::has_image);
        let suits = better.is_none_or(|better| better.contains(&node.name));
        candidates.push(Candidate { fetches, suits, room, ..found });
    }
    Ok(candidates)
}

fn is_placed_again(deployment: &Deployment, request: Option<RequestId>) -> bool {
    let asked = |slot: &&Slot| Some(slot.placement_request) == request;
    deployment.slots.iter().find(asked).is_some_and(|slot| slot.attempt > 0)
}

/// Where the replica of this request would be better off, if it is one that moves.
fn moves_to(deployment: &Deployment, request: Option<RequestId>) -> Option<&BTreeSet<NodeName>> {
    let moving = deployment.moving.as_ref().filter(|moving| Some(moving.new) == request);
    moving.map(|moving| &moving.to)
}

/// What the deployment has that stays, by the requests that placed it.
#[derive(Debug, Default)]
struct Placed<'a> {
    nodes: BTreeMap<RequestId, &'a NodeName>,
    /// Asked for, with a place or not yet. What else has a lease is on its way out, or out.
    stays: BTreeSet<RequestId>,
}

impl<'a> Placed<'a> {
    fn of(deployment: &'a Deployment) -> Self {
        let mut placed = Placed::default();
        for slot in deployment.slots.iter().filter(|slot| slot.state < SlotState::Leaving) {
            placed.stays.insert(slot.placement_request);
            if let Some(place) = &slot.place {
                placed.nodes.insert(slot.placement_request, &place.node);
            }
        }
        placed
    }
}

/// What a node has given away.
struct Leased {
    /// Leased, in quarantine, or in use.
    ports: BTreeSet<u16>,
    /// As it said last: it counts what runs already.
    used: Option<NodeUse>,
    /// What does not yet run.
    underway: Vec<PortLease>,
}

async fn leased(shared: &Shared, node: &Node) -> Result<Leased, records::Error> {
    let sample = shared.heartbeats.latest(&node.name);
    let containers = sample.as_ref().map(|sample| sample.containers.as_slice()).unwrap_or_default();
    let in_use: BTreeSet<u16> = containers.iter().map(|container| container.host_port).collect();
    let leased = ours::leased_ports(shared, &node.name).await?;
    let unheard: Vec<u16> = leased.iter().copied().filter(|port| !in_use.contains(port)).collect();
    let underway = ours::leases_of(shared, &node.name, &unheard).await?;
    let used = sample.as_ref().map(|sample| sample.node);
    Ok(Leased { ports: leased.into_iter().chain(in_use).collect(), used, underway })
}

async fn candidate(
    shared: &Shared,
    (node, leased): (&Node, Leased),
    instance: Option<&LegacyName>,
    placed: Option<&Placed<'_>>,
    limits: &mut BTreeMap<LegacyName, Limits>,
) -> Result<Candidate, records::Error> {
    let mut underway = Promised::default();
    let mut requests: BTreeSet<RequestId> = placed
        .into_iter()
        .flat_map(|placed| &placed.nodes)
        .filter(|(_, place)| **place == &node.name)
        .map(|(request, _)| *request)
        .collect();
    for lease in leased.underway {
        let stays = placed.is_none_or(|placed| placed.stays.contains(&lease.request));
        if Some(&lease.instance) == instance && stays {
            requests.insert(lease.request);
        }
        let promised = match limits.get(&lease.instance) {
            Some(known) => *known,
            None => {
                let read = ours::limits(shared, &lease.instance, Some(lease.request)).await?;
                let read = read.unwrap_or_default();
                limits.insert(lease.instance.clone(), read);
                read
            }
        };
        underway.add(&promised);
    }

    Ok(Candidate {
        name: node.name.clone(),
        verdict: shared.verdict(&node.name).map(|stored| stored.record.verdict),
        used: leased.used,
        underway,
        replicas: u32::try_from(requests.len()).unwrap_or(u32::MAX),
        fetches: false,
        suits: true,
        room: None,
        port: next_port(shared.config.first_port, shared.config.last_port, &leased.ports),
    })
}
