//! The larger faults of a run: each begins at a moment of its own, and is over after a while.

mod blow;
mod drained;
mod edge;
mod stray;

use std::sync::Arc;
use std::time::Duration;

use common::name::NodeName;
use common::port::Containers as _;
use common::service::ServiceName;
use jiff::SignedDuration;
use testkit::containers::Health;
use testkit::nodes::Reach;

use self::blow::{Blow, fit};
pub(crate) use self::blow::{CRASH_AT_CALL, KINDS, Scope, kinds};
pub(crate) use self::stray::{lose_who_keeps_a_bundle, sets_out};
use crate::dice::Dice;
use crate::fault::{Bait, Port, Trap, Victim};
use crate::services::{SERVICES, stand_by, start};
use crate::stage::Sleep;
use crate::world::World;

/// Strikes so often within a span, at moments drawn ahead.
pub(crate) fn strike(
    world: &Arc<World>,
    dice: &mut Dice,
    (count, scope): (u64, Scope),
    within: Duration,
) {
    for _ in 0..count {
        let at = dice.millis(500, u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(501));
        let lasts = dice.millis(200, 9000);
        let mut dice = dice.fork();
        let world = Arc::clone(world);
        let stage = Arc::clone(&world.stage);
        stage.spawn(0, async move {
            world.stage.sleep(at).await;
            let blow = fit(&world, &mut dice, scope);
            world.tell(format_args!("{blow:?} for {lasts:?}"));
            // A crash at a call strikes when the call is made.
            if blow.kind() != CRASH_AT_CALL {
                world.trace().blow_strikes(blow.kind());
            }
            fall(&world, blow, lasts).await;
        });
    }
}

/// Does it, waits, undoes it.
async fn fall(world: &Arc<World>, blow: Blow, lasts: Duration) {
    match blow {
        Blow::Crash(service) => {
            if let Some(life) = world.life(service) {
                world.end(&life, "it crashes");
            }
        }
        Blow::CrashAtCall(service, point, left) => world.faults().traps.push(Trap {
            caller: Some(service),
            bait: Bait::Effect,
            left,
            point,
            victim: Victim::Service(service),
        }),
        Blow::SecondLeader(service) => start(world, &world.configs, service),
        Blow::LaggingLeader(service) => {
            let Some(life) = world.life(service) else { return };
            world.faults().lagging.insert(life.number);
            world.stage.sleep(Duration::from_millis(600)).await;
            start(world, &world.configs, service);
        }
        Blow::Standby(service) => stand_by(world, service),
        Blow::RecordsTwice => {
            world.truth.bus.duplicate_next_publishes(5);
            world.truth.bus.repeat_next_deliveries(5);
        }
        Blow::EdgeLosesItsDisk => edge::lose_disk(world),
        Blow::EdgeDies => edge::die_for(world, lasts).await,
        Blow::FrontPortHeld(port) => edge::miss_port_for(world, port, lasts).await,
        Blow::SessionExpires(service) => {
            if let Some(life) = world.life(service) {
                life.session.expire();
            }
        }
        Blow::ClockJumps(service, seconds) => {
            if let Some(clock) = world.truth.clocks.get(&service) {
                clock.advance(SignedDuration::from_secs(seconds));
            }
            world.checker().clock_jumped(world.stage.now());
        }
        Blow::Pause(_)
        | Blow::CutPort(..)
        | Blow::StaleReads(_)
        | Blow::LostWatches(_)
        | Blow::BusAway
        | Blow::NodeCutFrom(..) => fall_for(world, blow, lasts).await,
        Blow::NodeDead(node) => unreachable_for(world, &node, Reach::Dead, lasts).await,
        Blow::NodePartitioned(node) => {
            unreachable_for(world, &node, Reach::Partitioned, lasts).await;
        }
        Blow::NodeHung(node) => unreachable_for(world, &node, Reach::Hung, lasts).await,
        Blow::NodeDrained(node) => drained::for_a_while(world, &node, lasts).await,
        Blow::NodeGray(_)
        | Blow::DiskFull(_)
        | Blow::PortTaken(_)
        | Blow::ContainersEnd(_)
        | Blow::ContainersRemoved(_) => hurt_node(world, blow, lasts).await,
    }
}

async fn pause_for(world: &Arc<World>, service: ServiceName, pause: Sleep) {
    let Some(life) = world.life(service) else { return };
    world.stage.pause(life.number);
    pause.await;
    world.stage.resume(life.number);
    if service == ServiceName::LoadBalancer {
        world.checker().balancer_resumed(world.stage.now());
    }
}

async fn fall_for(world: &Arc<World>, blow: Blow, lasts: Duration) {
    let pause = world.stage.sleep(lasts);
    match blow {
        Blow::Pause(service) => pause_for(world, service, pause).await,
        Blow::CutPort(service, port) => {
            world.faults().cut.insert((service, port));
            pause.await;
            world.faults().cut.remove(&(service, port));
            if let Some(life) = world.life(service).filter(|_| port == Port::Store) {
                life.session.reconnect();
            }
        }
        Blow::StaleReads(service) => {
            let Some(life) = world.life(service) else { return };
            life.session.freeze_reads();
            pause.await;
            life.session.thaw_reads();
        }
        Blow::LostWatches(service) => {
            let Some(life) = world.life(service) else { return };
            life.set_deaf(true);
            pause.await;
            life.set_deaf(false);
            life.session.reconnect();
        }
        Blow::BusAway => {
            let cut = SERVICES.map(|service| (service, Port::Bus));
            world.faults().cut.extend(cut);
            pause.await;
            world.faults().cut.retain(|one| !cut.contains(one));
        }
        Blow::NodeCutFrom(service, node) => {
            world.faults().cut_nodes.insert((service, node.clone()));
            pause.await;
            world.faults().cut_nodes.remove(&(service, node));
        }
        Blow::Crash(_)
        | Blow::CrashAtCall(..)
        | Blow::SecondLeader(_)
        | Blow::LaggingLeader(_)
        | Blow::Standby(_)
        | Blow::RecordsTwice
        | Blow::EdgeLosesItsDisk
        | Blow::EdgeDies
        | Blow::FrontPortHeld(_)
        | Blow::SessionExpires(_)
        | Blow::ClockJumps(..)
        | Blow::NodeDead(_)
        | Blow::NodePartitioned(_)
        | Blow::NodeHung(_)
        | Blow::NodeGray(_)
        | Blow::NodeDrained(_)
        | Blow::DiskFull(_)
        | Blow::PortTaken(_)
        | Blow::ContainersEnd(_)
        | Blow::ContainersRemoved(_) => {}
    }
}

async fn unreachable_for(world: &Arc<World>, node: &NodeName, reach: Reach, lasts: Duration) {
    set_reach(world, node, reach).await;
    // Nodes are away for longer than other things: else nobody is declared dead.
    world.stage.sleep(lasts * 2).await;
    if !world.truth.is_lost(node) {
        set_reach(world, node, Reach::Up).await;
    }
}

pub(crate) async fn set_reach(world: &Arc<World>, node: &NodeName, reach: Reach) {
    world.truth.nodes.set_reach(node, reach).await;
    if reach == Reach::Dead {
        world.checker().harmed(node, world.stage.now());
    }
    let now = world.stage.now();
    world.checker().struck(node, now);
    world.checker().node_is(node, reach == Reach::Up, now);
    world.observe();
}

async fn hurt_node(world: &Arc<World>, blow: Blow, lasts: Duration) {
    let pause = world.stage.sleep(lasts);
    match blow {
        Blow::NodeGray(node) => {
            world.faults().slow_nodes.insert(node.clone());
            pause.await;
            world.faults().slow_nodes.remove(&node);
        }
        Blow::DiskFull(node) => {
            let engine = world.truth.nodes.engine(&node);
            engine.set_health(Health::Full);
            pause.await;
            engine.set_health(Health::Answers);
        }
        Blow::PortTaken(node) => {
            let port = 20_000 + u16::try_from(world.dice().below(6)).unwrap_or_default();
            let engine = world.truth.nodes.engine(&node);
            engine.occupy_port(port);
            pause.await;
            engine.free_port(port);
        }
        Blow::ContainersRemoved(node) => remove_containers(world, &node, pause).await,
        Blow::ContainersEnd(node) => end_containers(world, &node).await,
        Blow::Crash(_)
        | Blow::CrashAtCall(..)
        | Blow::Pause(_)
        | Blow::SecondLeader(_)
        | Blow::LaggingLeader(_)
        | Blow::Standby(_)
        | Blow::CutPort(..)
        | Blow::SessionExpires(_)
        | Blow::StaleReads(_)
        | Blow::LostWatches(_)
        | Blow::BusAway
        | Blow::RecordsTwice
        | Blow::NodeDead(_)
        | Blow::NodePartitioned(_)
        | Blow::NodeHung(_)
        | Blow::NodeCutFrom(..)
        | Blow::NodeDrained(_)
        | Blow::EdgeLosesItsDisk
        | Blow::EdgeDies
        | Blow::FrontPortHeld(_)
        | Blow::ClockJumps(..) => {}
    }
}

async fn remove_containers(world: &Arc<World>, node: &NodeName, pause: Sleep) {
    let engine = world.truth.nodes.engine(node);
    let removed = engine.containers();
    for container in &removed {
        // An engine that is not well keeps what it has.
        drop(engine.ensure_absent(&container.name).await);
        engine.occupy_port(container.host_port);
    }
    world.checker().harmed(node, world.stage.now());
    world.checker().struck(node, world.stage.now());
    world.observe();
    pause.await;
    for container in &removed {
        engine.free_port(container.host_port);
    }
}

async fn end_containers(world: &Arc<World>, node: &NodeName) {
    let engine = world.truth.nodes.engine(node);
    for container in engine.containers() {
        engine.exit(&container.name, 1);
    }
    world.checker().harmed(node, world.stage.now());
    world.checker().struck(node, world.stage.now());
    // The agent starts them again after a moment.
    world.stage.sleep(Duration::from_millis(900)).await;
    world.truth.nodes.restart_ended(node).await;
    world.checker().stirred = true;
    world.observe();
}

/// Ends everything that goes wrong: all services live once, everybody reaches everything.
pub(crate) async fn heal(world: &Arc<World>) {
    world.tell(format_args!("everything heals"));
    let drained = {
        let mut faults = world.faults();
        let instant = faults.rates.instant;
        let drained = std::mem::take(&mut faults.drained);
        *faults = crate::fault::Faults::default();
        faults.rates.instant = instant;
        drained
    };
    let others: Vec<_> = {
        let mut lives = world.lives();
        let others = std::mem::take(&mut lives.others);
        others.into_iter().chain(std::mem::take(&mut lives.standbys).into_values()).collect()
    };
    for life in others {
        world.stage.resume(life.number);
        world.end(&life, "it is taken away");
    }
    for service in SERVICES {
        if let Some(life) = world.life(service) {
            world.stage.resume(life.number);
            life.session.thaw_reads();
            life.set_deaf(false);
            life.session.reconnect();
        }
    }
    edge::heal(world);
    for agent in &world.truth.agents {
        let engine = world.truth.nodes.engine(&agent.node);
        engine.set_health(Health::Answers);
        for port in 20_000..20_080 {
            engine.free_port(port);
        }
        if !world.truth.is_lost(&agent.node) {
            set_reach(world, &agent.node, Reach::Up).await;
            world.truth.nodes.restart_ended(&agent.node).await;
        }
    }
    drained::heal(world, drained).await;
}
