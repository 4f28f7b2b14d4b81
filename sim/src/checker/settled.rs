//! Once nothing goes wrong any more: is everything as it was asked, and is nothing else there?

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::id::SlotNumber;
use common::name::{LegacyName, NodeName};
use common::port::Clock as _;
use common::port::bus::Offset;
use common::port::edge::Upstream;
use common::port::store::Path;
use common::record::course::DecisionKind;
use common::record::deployment::{Deployment, Goal, Slot, SlotState, State};
use common::record::instance::{Instance, State as Told};
use common::record::node::PortLease;
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use common::record::scale::Scale;
use common::service::ServiceName;
use common::topic::{Topic, TopicName};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use super::courses::is_beside;
use super::{Checker, Invariant, Violation, decoded};
use super::{courses, windows, wishes};
use crate::world::{Truth, runs};

/// How long a deployment may be in progress at most, its undoing included.
const LONGEST: Duration = Duration::from_secs(100);

/// How long a port stays leased that nobody has: the node manager keeps it for 10 s, and looks at all now and then.
const GIVEN_BACK_WITHIN: SignedDuration = SignedDuration::from_secs(20);

/// Who reads which topic.
const READERS: [(ServiceName, Topic); 5] = [
    (ServiceName::AppManager, Topic::FirstTopic),
    (ServiceName::AppManager, Topic::Scheduler),
    (ServiceName::DeploymentManager, Topic::DeploymentManager),
    (ServiceName::NodeManager, Topic::NodeManager),
    (ServiceName::LoadBalancer, Topic::LoadBalancer),
];

pub(super) type Checked = Result<(), Violation>;
/// A replica's place: instance, number, node, host port.
type Place = (String, SlotNumber, NodeName, u16);

pub(super) fn all<T: DeserializeOwned>(truth: &Truth, kind: &str) -> Vec<(Path, T)> {
    let records = truth.store.records(&path::folder(kind)).into_iter();
    let decoded = |(path, value): (Path, Bytes)| Some((path, decoded(Some(&value))?));
    records.filter_map(decoded).collect()
}

pub(super) fn demand(holds: bool, invariant: Invariant, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation::new(invariant, what())) }
}

/// What is not as it should be, if anything.
pub(crate) fn settled(checker: &Checker, truth: &Truth, now: u64) -> Checked {
    // What the journal said last is what stands in the store.
    let deployments: Vec<Deployment> = checker.deployments.values().cloned().collect();
    ended(checker, &deployments, now)?;
    told(checker, truth, &deployments)?;
    heard(checker, truth, &deployments)?;
    replicas(truth, &deployments)?;
    containers(truth, &deployments)?;
    doors(truth, &deployments)?;
    registry(truth, &deployments)?;
    leases(truth, &deployments)?;
    operations(checker, truth)?;
    courses::ended(truth, &deployments)?;
    windows::over(&checker.windows, truth)?;
    wishes::kept(checker, truth, &deployments)
}

/// Nothing is in progress; past its deadline it is a lie.
fn ended(checker: &Checker, deployments: &[Deployment], now: u64) -> Checked {
    for deployment in deployments {
        let in_progress = deployment.state < State::Running
            || matches!(deployment.state, State::Undoing | State::Stopping | State::Stopped);
        let began = checker.began.get(&deployment.instance).map_or(now, |(_, at)| *at);
        let late = Duration::from_micros(now - began) > LONGEST;
        let invariant = if late { Invariant::I10HonestStatus } else { Invariant::I7Converge };
        let state = deployment.state;
        demand(!in_progress, invariant, || format!("{} is {state:?}", deployment.instance))?;
        let failed = deployment.state == State::Failed;
        demand(!failed || deployment.failure.is_some(), Invariant::I10HonestStatus, || {
            format!("{} failed without a reason", deployment.instance)
        })?;
    }
    Ok(())
}

/// Nobody owes a message, and every message was read.
fn told(checker: &Checker, truth: &Truth, deployments: &[Deployment]) -> Checked {
    for one in deployments {
        demand(one.owed.is_empty(), Invariant::I7Converge, || format!("{} owes", one.instance))?;
    }
    for (path, instance) in all::<Instance>(truth, "instances") {
        demand(instance.owed.is_empty(), Invariant::I7Converge, || format!("{path} owes"))?;
    }
    for (path, scale) in all::<Scale>(truth, "scale") {
        demand(scale.owed.is_empty(), Invariant::I7Converge, || format!("{path} owes"))?;
    }
    for (path, value) in truth.store.records(&path::folder("placements")) {
        demand(value.is_empty(), Invariant::I7Converge, || format!("{path} is not answered"))?;
    }
    for (service, topic) in READERS {
        if checker.doubled.contains(&service) {
            continue;
        }
        let position = truth.bus.position(topic, service.as_str()).unwrap_or(Offset(0));
        let left = truth.bus.records_from(topic, position).len();
        demand(left == 0, Invariant::I7Converge, || {
            format!("{left} messages of {topic} are unread")
        })?;
    }
    Ok(())
}

/// Every accepted request has its outcome.
pub(super) fn operations(checker: &Checker, truth: &Truth) -> Checked {
    let open = checker.open.first();
    demand(open.is_none(), Invariant::I1NoLostCommand, || format!("{open:?} has no outcome"))?;
    for (request, kind) in &checker.sent {
        let path = path::operation(*request, ServiceName::DeploymentManager, kind);
        demand(!truth.store.records(&path).is_empty(), Invariant::I1NoLostCommand, || {
            format!("the {kind} {request} of another program was lost")
        })?;
    }
    for topic in Topic::ALL {
        let letters: TopicName = topic.dead_letter();
        let expired = truth.bus.records(letters).into_iter().any(|letter| {
            let reason = letter.record.header("reason");
            reason.is_some_and(|reason| {
                reason.starts_with(b"EXPIRED") || reason.starts_with(b"INTERNAL")
            })
        });
        demand(!expired, Invariant::I1NoLostCommand, || {
            format!("a message of {topic} was buried")
        })?;
    }
    Ok(())
}

/// The app manager says what became of the last request.
fn heard(checker: &Checker, truth: &Truth, deployments: &[Deployment]) -> Checked {
    let by_name: BTreeMap<&LegacyName, &Deployment> =
        deployments.iter().map(|one| (&one.instance, one)).collect();
    for (_, instance) in all::<Instance>(truth, "instances") {
        let name = &instance.name;
        let deployment = by_name.get(name);
        let agrees = match instance.state {
            Told::Deploying | Told::Stopping => {
                let what = format!("{name} is {:?} for ever", instance.state);
                return Err(Violation::new(Invariant::I1NoLostCommand, what));
            }
            Told::Deployed => deployment
                .is_some_and(|one| one.goal == Goal::Running && one.state == State::Running),
            Told::Stopped | Told::Scheduled => {
                deployment.is_none_or(|one| one.state == State::Removed)
            }
            Told::DeployFailed => deployment.is_none_or(|one| {
                let has_failed = one.state == State::Failed || courses::has_gone_back(one);
                has_failed || wishes::was_refused(checker, truth, &instance, one)
            }),
            Told::StopFailed => deployment.is_none_or(|one| one.goal == Goal::Stopped),
        };
        demand(agrees, Invariant::I10HonestStatus, || {
            let state = deployment.map(|one| one.state);
            format!("{name} is said to be {:?}, and is {state:?}", instance.state)
        })?;
    }
    Ok(())
}

/// As many replicas as are wanted, all served.
fn replicas(truth: &Truth, deployments: &[Deployment]) -> Checked {
    let scales: BTreeMap<LegacyName, Scale> = all::<Scale>(truth, "scale")
        .into_iter()
        .map(|(_, scale)| (scale.instance.clone(), scale))
        .collect();
    let instances: BTreeMap<LegacyName, u32> = all::<Instance>(truth, "instances")
        .into_iter()
        .map(|(_, instance)| (instance.name, instance.replicas))
        .collect();
    for deployment in deployments {
        let name = &deployment.instance;
        let routed = deployment.slots.iter().all(|slot| slot.state == SlotState::Routed);
        demand(routed, Invariant::I7Converge, || format!("a replica of {name} is not served"))?;
        let wanted = match &deployment.serving {
            None => 0,
            Some(_) => {
                let scale = scales.get(name).filter(|scale| scale.is_for(deployment));
                let pinned = || instances.get(name).copied();
                let wanted = scale.map(|scale| scale.replicas).or_else(pinned).unwrap_or(1);
                wanted + courses::added(deployment, wanted)
            }
        };
        let count = deployment.slots.len();
        demand(usize::try_from(wanted) == Ok(count), Invariant::I5NoOrphan, || {
            format!("{name} has {count} replicas, not {wanted}")
        })?;
    }
    Ok(())
}

fn wanted(deployments: &[Deployment]) -> BTreeSet<Place> {
    let slots = deployments.iter().flat_map(|one| one.slots.iter().map(move |slot| (one, slot)));
    let place = |(deployment, slot): (&Deployment, &Slot)| {
        let place = slot.place.clone()?;
        Some((deployment.instance.to_string(), slot.number, place.node, place.host_port))
    };
    slots.filter_map(place).collect()
}

/// Exactly the wanted containers are there, of the served generation, and run.
fn containers(truth: &Truth, deployments: &[Deployment]) -> Checked {
    let mut found = BTreeSet::new();
    for agent in &truth.agents {
        if truth.is_lost(&agent.node) {
            continue;
        }
        for container in truth.nodes.containers(&agent.node) {
            let name = &container.name;
            demand(runs(&container), Invariant::I5NoOrphan, || format!("{name} does not run"))?;
            let serving = deployments
                .iter()
                .find(|one| one.instance.as_str() == container.instance.as_str())
                .and_then(|one| one.serving.as_ref());
            let same = serving.is_some_and(|one| {
                one.generation == container.generation && one.image == container.image
            });
            let of = |one: &&Deployment| one.instance.as_str() == container.instance.as_str();
            let beside = deployments.iter().find(of).is_some_and(|one| is_beside(one, &container));
            demand(same || beside, Invariant::I5NoOrphan, || {
                format!("{name} of generation {} is not wanted", container.generation)
            })?;
            let instance = container.instance.to_string();
            found.insert((instance, container.slot, agent.node.clone(), container.host_port));
        }
    }
    let wanted = wanted(deployments);
    demand(found == wanted, Invariant::I5NoOrphan, || {
        format!("containers {found:?} are not the replicas {wanted:?}")
    })
}

/// The edge serves exactly the replicas, as the routes say.
fn doors(truth: &Truth, deployments: &[Deployment]) -> Checked {
    let table = truth.edge.table().map(|table| table.routes).unwrap_or_default();
    let rows: BTreeMap<LegacyName, Vec<SocketAddr>> = table
        .iter()
        .map(|row| {
            let addresses = row.upstreams.iter().map(Upstream::address);
            (row.instance.clone(), addresses.collect())
        })
        .collect();
    let served: BTreeMap<LegacyName, Vec<SocketAddr>> = deployments
        .iter()
        .filter(|one| one.serving.is_some())
        .map(|one| {
            let places = one.slots.iter().filter_map(|slot| slot.place.as_ref());
            let addresses = places.map(|place| SocketAddr::new(place.ip, place.host_port));
            (one.instance.clone(), addresses.collect())
        })
        .collect();
    demand(rows == served, Invariant::I5NoOrphan, || {
        format!("the edge serves {rows:?}, not {served:?}")
    })?;
    let routes = all::<Route>(truth, "routes").into_iter().map(|(_, route)| route);
    let leaving = routes.clone().any(|route| !route.leaving.is_empty());
    demand(!leaving, Invariant::I7Converge, || "a replica is still leaving".to_owned())?;
    let routed: BTreeMap<LegacyName, Vec<SocketAddr>> = routes
        .map(|route| {
            let addresses = route.upstreams.iter().map(Upstream::address);
            (route.instance.clone(), addresses.collect())
        })
        .collect();
    demand(routed == served, Invariant::I5NoOrphan, || {
        format!("the routes are {routed:?}, not {served:?}")
    })
}

/// Document 001's registry names exactly the replicas.
fn registry(truth: &Truth, deployments: &[Deployment]) -> Checked {
    for deployment in deployments {
        let folder = path::registry_app(&deployment.instance);
        let entries = truth.store.records(&folder).into_iter();
        let said: BTreeMap<String, Bytes> = entries
            .filter(|(path, _)| *path != folder)
            .map(|(path, value)| (path.name().to_owned(), value))
            .collect();
        let wanted: BTreeMap<String, Bytes> = deployment
            .slots
            .iter()
            .filter_map(|slot| {
                let place = slot.place.as_ref()?;
                let address = SocketAddr::new(place.ip, place.host_port).to_string();
                Some((format!("instance{}", slot.number), Bytes::from(address)))
            })
            .collect();
        demand(said == wanted, Invariant::I5NoOrphan, || {
            format!("the registry says {said:?} of {}, not {wanted:?}", deployment.instance)
        })?;
    }
    Ok(())
}

/// A port is leased exactly where a replica is; on a node that is lost nobody knows.
fn leases(truth: &Truth, deployments: &[Deployment]) -> Checked {
    let held: BTreeSet<(String, NodeName, u16)> = wanted(deployments)
        .into_iter()
        .map(|(instance, _, node, port)| (instance, node, port))
        .collect();
    let now = truth.clocks.get(&ServiceName::NodeManager).map(|clock| clock.now());
    let mut leased = BTreeSet::new();
    for (path, lease) in all::<serde_json::Value>(truth, "ports") {
        let Ok(lease) = serde_json::from_value::<PortLease>(lease) else { continue };
        let node: Option<NodeName> = path.parent().and_then(|node| node.name().parse().ok());
        let Some(node) = node.filter(|node| !truth.is_lost(node)) else { continue };
        let port: u16 = path.name().parse().unwrap_or_default();
        let place = (lease.instance.to_string(), node, port);
        let is_held = held.contains(&place);
        if lease.released_at.is_none() && (is_held || !is_of_vain_move(&lease, deployments, now)) {
            leased.insert(place);
        }
    }
    demand(leased == held, Invariant::I5NoOrphan, || format!("leased are {leased:?}, not {held:?}"))
}

/// Where the node manager finds another node better than the one with the fewest replicas, moves are begun in vain, of one
/// instance after the other; so there may always be a lease that is about to be given back.
fn is_of_vain_move(lease: &PortLease, deployments: &[Deployment], now: Option<Timestamp>) -> bool {
    let of = deployments.iter().find(|one| one.instance == lease.instance);
    let last = of.and_then(|one| one.decisions.last()).map(|decision| decision.kind);
    let is_young = now.is_some_and(|now| now.duration_since(lease.leased_at) < GIVEN_BACK_WITHIN);
    last == Some(DecisionKind::NotMoved) && is_young
}

/// After everything was stopped: nothing is left but the memory of it.
pub(crate) fn empty(truth: &Truth) -> Checked {
    let left = |kind: &str| {
        let records = truth.store.records(&path::folder(kind)).into_iter();
        records.filter(|(_, value)| !value.is_empty()).map(|(path, _)| path).next()
    };
    for kind in ["routes", "scale", "placements"] {
        let found = left(kind);
        demand(found.is_none(), Invariant::I12Bounded, || format!("{found:?} is left"))?;
    }
    for (path, lease) in all::<FrontPortLease>(truth, "ports/edge") {
        let is_free = lease.released_at.is_some();
        demand(is_free, Invariant::I12Bounded, || format!("{path} is still leased"))?;
    }
    for folder in ["staging", "builds"] {
        // A folder that nobody needed was never made.
        let mut left = std::fs::read_dir(truth.folder.join(folder)).into_iter().flatten();
        let found = left.next();
        demand(found.is_none(), Invariant::I12Bounded, || format!("{found:?} is left"))?;
    }
    for agent in &truth.agents {
        if truth.is_lost(&agent.node) {
            continue;
        }
        let held = truth.nodes.containers(&agent.node).len();
        demand(held == 0, Invariant::I12Bounded, || format!("{} holds {held}", agent.node))?;
        let found = left(&format!("ports/{}", agent.node));
        demand(found.is_none(), Invariant::I12Bounded, || format!("{found:?} is left"))?;
    }
    let rows = truth.edge.table().map_or(0, |table| table.routes.len());
    demand(rows == 0, Invariant::I12Bounded, || format!("the edge has {rows} rows"))
}

#[cfg(test)]
mod tests;
