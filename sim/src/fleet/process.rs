//! Processes: they begin and end with the containers of their parts, and who ends by itself is started again by its
//! machine's agent, with the waits of a real one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::name::{NodeName, PartName};
use common::port::PartContainers as _;
use common::port::container::ContainerState;
use common::port::part::Part;
use common::port::part_containers::PartSite;
use common::service::ServiceName;
use testkit::nodes::Reach;

use super::{Fleet, Look, Spot};
use crate::life::Life;
use crate::plant::Plant;
use crate::services;
use crate::stage::Owner;
use crate::world::World;

/// The services that really live in a fleet; of the other parts there is a process, and nothing in it.
const REAL: [ServiceName; 4] = [
    ServiceName::LifecycleManager,
    ServiceName::PlatformInitializer,
    ServiceName::Monitoring,
    ServiceName::NodeManager,
];

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(1);
/// Ends that are older do not count.
const WINDOW: u64 = 600_000_000;
/// How often an agent that hangs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One run of a part's container.
#[derive(Debug)]
pub(super) struct Process {
    /// Which start of the container it is.
    starts: u32,
    /// None where nothing lives in it.
    pub(super) life: Option<Arc<Life>>,
    /// From when on it answers, in microseconds.
    answers_at: u64,
}

impl Process {
    pub(super) fn look(&self, hangs: bool, now: u64) -> Look {
        if hangs || now < self.answers_at {
            return Look::Hangs;
        }
        match &self.life {
            Some(life) if !life.lifecycle.is_ready() => Look::Answers,
            Some(_) | None => Look::Ready,
        }
    }
}

fn is_running(part: &Part) -> bool {
    matches!(part.state, ContainerState::Running { .. })
}

impl Fleet {
    /// The containers that run on a machine, each with the number of its start.
    fn containers(&self, node: &NodeName) -> BTreeMap<PartName, u32> {
        let engine = self.parts.engine(node);
        let running = engine.parts().into_iter().filter(is_running);
        running.map(|part| (part.name.clone(), engine.starts(&part.name))).collect()
    }

    /// Takes away the processes whose containers do not run any more, with the lives in them.
    fn take_ended(&self, node: &NodeName, running: &BTreeMap<PartName, u32>) -> Vec<Arc<Life>> {
        let mut state = self.state();
        let ended = state.processes.extract_if(.., |spot, process| {
            spot.node == *node && running.get(&spot.part) != Some(&process.starts)
        });
        ended.filter_map(|(_, process)| process.life).collect()
    }

    /// A process has ended by itself; says how often it did of late.
    fn note_end(&self, spot: &Spot, now: u64) -> usize {
        let mut state = self.state();
        let ends = state.ends.entry(spot.clone()).or_default();
        ends.retain(|at| now - at < WINDOW);
        ends.push(now);
        ends.len()
    }
}

/// Compares the containers of all machines with the processes, and has these begin and end.
pub(crate) fn attend(world: &Arc<World>) {
    let fleet = &world.truth.fleet;
    for agent in &world.truth.agents {
        let running = fleet.containers(&agent.node);
        for life in fleet.take_ended(&agent.node, &running) {
            if !world.has(Plant::PartsRunTwice) {
                world.end(&life, "its container ends");
            }
        }
        for (part, starts) in running {
            let spot = Spot { node: agent.node.clone(), part };
            if !fleet.state().processes.contains_key(&spot) {
                begin(world, spot, starts);
            }
        }
    }
    world.check_twins();
}

fn begin(world: &Arc<World>, spot: Spot, starts: u32) {
    let boot = world.dice().millis(80, 900);
    let real = spot.part.as_str().parse::<ServiceName>().ok();
    let life = match real.filter(|service| REAL.contains(service)) {
        Some(service) => Some(services::live_at(world, service, &spot, boot)),
        None => {
            world.tell(format_args!("{spot} starts"));
            None
        }
    };
    let answers_at = world.stage.now() + micros(boot);
    let process = Process { starts, life, answers_at };
    world.truth.fleet.state().processes.insert(spot, process);
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A life in a process has ended: so has its container, and the agent starts it again.
pub(crate) fn exited(world: &Arc<World>, number: Owner, spot: &Spot) {
    let fleet = &world.truth.fleet;
    let its = |process: &Process| process.life.as_ref().is_some_and(|life| life.number == number);
    {
        let mut state = fleet.state();
        state.hanging.remove(&number);
        if !state.processes.get(spot).is_some_and(its) {
            return;
        }
        state.processes.remove(spot);
    }
    fleet.parts.engine(&spot.node).exit(&spot.part, 1);
    again(world, spot);
}

/// A process ends by itself in which nothing lives.
pub(super) fn end_shadow(world: &Arc<World>, spot: &Spot) {
    let fleet = &world.truth.fleet;
    let removed = fleet.state().processes.remove(spot);
    if removed.is_some() {
        world.tell(format_args!("{spot} crashes"));
        fleet.parts.engine(&spot.node).exit(&spot.part, 1);
        again(world, spot);
    }
}

/// How long the agent waits before it starts a container again: the first time not at all.
fn wait_after(ends: usize) -> Duration {
    let doublings = u32::try_from(ends).unwrap_or(u32::MAX).saturating_sub(2).min(6);
    if ends < 2 { Duration::ZERO } else { (FIRST_WAIT * (1 << doublings)).min(LAST_WAIT) }
}

fn again(world: &Arc<World>, spot: &Spot) {
    let ends = world.truth.fleet.note_end(spot, world.stage.now());
    let wait = wait_after(ends) + world.dice().millis(20, 200);
    let (world, spot) = (Arc::clone(world), spot.clone());
    let stage = Arc::clone(&world.stage);
    stage.spawn(0, async move {
        world.stage.sleep(wait).await;
        while world.truth.fleet.reach(&spot.node) == Reach::Hung {
            world.stage.sleep(LOOK_EVERY).await;
        }
        // One without power brings everything back when it gets it.
        if world.truth.fleet.reach(&spot.node) != Reach::Dead {
            start_again(&world, &spot).await;
        }
    });
}

async fn start_again(world: &Arc<World>, spot: &Spot) {
    let parts = &world.truth.fleet.parts;
    let Some(told) = parts.told(&spot.node, &spot.part) else { return };
    let engine = parts.engine(&spot.node);
    let found = engine.parts().into_iter().find(|part| part.name == spot.part);
    let Some(found) = found.filter(|part| part.spec_hash == told.hash()) else { return };
    let site = PartSite::default();
    // An engine that is not well keeps what it has.
    drop(engine.ensure_part_running(&told, found.epoch, &site).await);
    attend(world);
    world.observe();
}
