//! Once nothing goes wrong any more in a fleet: is everything where it was wished, once, and does everybody know?

use std::collections::BTreeSet;

use common::name::{NodeName, PartName};
use common::port::nodes::Agent;
use common::port::store::Path;
use common::record::machine::{MachineRecord, MachineState};
use common::record::operation::Operation;
use common::record::path;
use common::record::platform::{
    InstanceState, PlacedService, PlatformGoal, PlatformRecord, PlatformState, RunningService,
};
use common::service::ServiceName;
use common::topic::Topic;
use rollout::parts::{BasePart, base_parts};
use testkit::nodes::Reach;

use super::super::settled::{Checked, all, demand, operations};
use super::super::{Checker, Invariant, decoded};
use crate::fleet::{Spot, part_of, platform};
use crate::world::{Truth, runs};

/// What is not as it should be, if anything.
pub(crate) fn kept(checker: &Checker, truth: &Truth, now: u64) -> Checked {
    machines(truth)?;
    base(truth, now)?;
    switched(checker, truth)?;
    for (_, placed) in all::<PlacedService>(truth, "platform/services") {
        service(truth, &placed, now)?;
    }
    orphans(truth)?;
    let idle = checker.keeping.under_way.keys().next();
    demand(idle.is_none(), Invariant::I7Converge, || format!("{idle:?} is still restarted"))?;
    brakes(checker, truth)?;
    answered(checker, truth)?;
    operations(checker, truth)?;
    apps(truth)
}

fn one<T: serde::de::DeserializeOwned>(truth: &Truth, at: &Path) -> Option<T> {
    let mut records = truth.store.records(at).into_iter().filter(|(path, _)| path == at);
    records.next().and_then(|(_, value)| decoded(Some(&value)))
}

fn platform_record(truth: &Truth) -> Option<PlatformRecord> {
    one(truth, &path::platform())
}

fn live(truth: &Truth) -> BTreeSet<NodeName> {
    let names = truth.agents.iter().map(|agent| agent.node.clone());
    names.filter(|node| truth.fleet.reach(node) == Reach::Up).collect()
}

/// I10: of a machine it is said whether it can be used.
fn machines(truth: &Truth) -> Checked {
    let live = live(truth);
    for (_, machine) in all::<MachineRecord>(truth, "machines") {
        let (name, state) = (&machine.name, machine.state);
        let agrees = (state == MachineState::Ready) == live.contains(name);
        demand(agrees, Invariant::I10HonestStatus, || format!("{name} is said to be {state:?}"))?;
    }
    Ok(())
}

/// P1: what everything stands on stands where it is described, but for the registry, which may be anywhere.
fn base(truth: &Truth, now: u64) -> Checked {
    let (described, live) = (platform(&truth.agents), live(truth));
    for node in &live {
        for part in base_parts(&described, node) {
            let spot = Spot { node: node.clone(), part: part.name() };
            let stands = part == BasePart::Registry || truth.fleet.is_ready(&spot, now);
            demand(stands, Invariant::P1Placed, || format!("{spot} is not ready"))?;
        }
    }
    let registries = truth.fleet.runs_on(&BasePart::Registry.name());
    let count = registries.intersection(&live).count();
    demand(count == 1, Invariant::P1Placed, || format!("there are {count} registries"))
}

/// P5: the platform is as it was wished last, and says so.
fn switched(checker: &Checker, truth: &Truth) -> Checked {
    let Some(record) = platform_record(truth) else { return Ok(()) };
    let state = record.state;
    let reached = match record.goal {
        PlatformGoal::On => state == PlatformState::Running,
        PlatformGoal::Off => state == PlatformState::Stopped,
    };
    demand(reached, Invariant::P5AsWished, || {
        format!("the platform was wished {:?}, and is {state:?}", record.goal)
    })?;
    let owed = record.owed.len();
    demand(owed == 0, Invariant::I7Converge, || format!("the platform owes {owed} answers"))?;
    let goal = checker.keeping.wished;
    demand(goal.is_none_or(|goal| goal == record.goal), Invariant::P5AsWished, || {
        format!("{goal:?} was wished last, and it is to be {:?}", record.goal)
    })
}

/// P1 and P5: as many instances as there are places, each on a machine of its own, each running; and I10: that is what
/// is said of it.
fn service(truth: &Truth, placed: &PlacedService, now: u64) -> Checked {
    let (service, part) = (placed.service, part_of(placed.service));
    let live = live(truth);
    let on: BTreeSet<NodeName> = truth.fleet.runs_on(&part).intersection(&live).cloned().collect();
    let wanted = match placed.goal {
        PlatformGoal::On => placed.nodes.len(),
        PlatformGoal::Off => 0,
    };
    let kind = if wanted == 0 { Invariant::P5AsWished } else { Invariant::P1Placed };
    demand(on.len() == wanted, kind, || format!("{service} runs on {on:?}, not {wanted} times"))?;
    let running: Option<RunningService> = one(truth, &path::running_service(service));
    let told = running.as_ref().map(|running| running.instances.as_slice()).unwrap_or_default();
    let newest = running.as_ref().is_some_and(|running| running.generation == placed.generation);
    let here = told.iter().filter(|instance| live.contains(&instance.node));
    let said: BTreeSet<NodeName> = here.map(|instance| instance.node.clone()).collect();
    let ready = told
        .iter()
        .all(|instance| live.contains(&instance.node) == (instance.state == InstanceState::Ready));
    demand(newest && ready && said == on, Invariant::I10HonestStatus, || {
        format!("{service} runs on {on:?}, and {said:?} is said, ready: {ready}")
    })?;
    for node in &on {
        let spot = Spot { node: node.clone(), part: part.clone() };
        let ready = truth.fleet.is_ready(&spot, now);
        demand(ready, Invariant::P1Placed, || format!("{spot} is not ready"))?;
    }
    registered(truth, service, wanted > 0, &said)
}

/// I5: document 001's registry has what runs.
fn registered(
    truth: &Truth,
    service: ServiceName,
    runs: bool,
    said: &BTreeSet<NodeName>,
) -> Checked {
    let at = path::registry_service(service);
    let mut records = truth.store.records(&at).into_iter().filter(|(path, _)| *path == at);
    let entry = records.next().map(|(_, value)| String::from_utf8_lossy(&value).into_owned());
    let host = entry.as_deref().and_then(|text| text.rsplit_once(':')).map(|(host, _)| host);
    let its = |agent: &&Agent| {
        Some(agent.address.ip().to_string().as_str()) == host && said.contains(&agent.node)
    };
    let leads = truth.agents.iter().any(|agent| its(&agent));
    demand(entry.is_some() == runs && leads == runs, Invariant::I5NoOrphan, || {
        format!("the registry says {entry:?} of {service}")
    })
}

/// P1: nothing runs that nobody wished for.
fn orphans(truth: &Truth) -> Checked {
    let described = platform(&truth.agents);
    let placed: BTreeSet<PartName> = all::<PlacedService>(truth, "platform/services")
        .into_iter()
        .map(|(_, placed)| part_of(placed.service))
        .collect();
    for node in live(truth) {
        let base: BTreeSet<PartName> =
            base_parts(&described, &node).into_iter().map(BasePart::name).collect();
        for part in truth.fleet.parts.parts_of(&node) {
            let name = part.name;
            let known =
                base.contains(&name) || placed.contains(&name) || name == BasePart::Registry.name();
            demand(known, Invariant::P1Placed, || format!("nobody wants {name} on {node}"))?;
        }
    }
    Ok(())
}

/// Nothing looks dead any more, so no brake holds. Of services that do not run nothing is seen either way.
fn brakes(checker: &Checker, truth: &Truth) -> Checked {
    let runs = platform_record(truth).is_some_and(|record| record.goal == PlatformGoal::On);
    let held = checker.keeping.holds.keys().find(|kind| runs || *kind != "services");
    demand(held.is_none(), Invariant::I7Converge, || format!("the brake of {held:?} holds"))
}

/// I1: every request has its outcome, and was answered.
fn answered(checker: &Checker, truth: &Truth) -> Checked {
    let answers: BTreeSet<_> =
        truth.bus.messages(Topic::FirstTopic).into_iter().map(|one| one.request_id).collect();
    for (request, (service, kind)) in &checker.keeping.sent {
        let at = path::operation(*request, *service, kind);
        let known: Option<Operation> = one(truth, &at);
        let ended = known.is_some_and(|operation| operation.outcome.is_some());
        demand(ended, Invariant::I1NoLostCommand, || format!("{kind} {request} has no outcome"))?;
        let told = answers.contains(request);
        demand(told, Invariant::I1NoLostCommand, || format!("{kind} {request} has no answer"))?;
    }
    Ok(())
}

/// P6: whatever became of the platform, apps run where they ran.
fn apps(truth: &Truth) -> Checked {
    for node in live(truth) {
        let running = truth.nodes.containers(&node).into_iter().filter(runs).count();
        demand(running == 1, Invariant::P6AppsUntouched, || {
            format!("{running} containers of apps run on {node}, not one")
        })?;
    }
    Ok(())
}
