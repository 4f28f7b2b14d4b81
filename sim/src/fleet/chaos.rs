//! The larger faults of a fleet: each begins at a moment of its own, and is over after a while.

use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Role;
use common::message::LifecycleCommand;
use common::name::NodeName;
use common::service::ServiceName;
use jiff::SignedDuration;
use testkit::nodes::Reach;

use super::blow::{
    AGENT_HANGS, Blow, LAGGING_LEADER, OfMachine, OfProcess, OfService, PARTITIONED, PAUSED_LEADER,
    SERVICES, STRAY_ORDER, drawn,
};
use super::{Spot, lie, power, process};
use crate::call::CallKind;
use crate::chaos::sets_out;
use crate::dice::Dice;
use crate::fault::{Port, Trap, Victim};
use crate::life::Life;
use crate::stage::Sleep;
use crate::world::World;

/// So long after it was last heard a session ends.
const SESSION: Duration = Duration::from_secs(6);
/// For how long a leader is not scheduled: longer than its session.
const PAUSE: Duration = Duration::from_secs(30);
/// For how long orders set out that arrive late.
const LAG: Duration = Duration::from_millis(1500);
/// So much longer a machine has no power than other things last.
const WITHOUT_POWER: Duration = Duration::from_secs(20);
/// A request for a restart is acted upon after this.
const GATHERED: Duration = Duration::from_millis(1700);

/// Strikes so often within a span, at moments drawn ahead.
pub(super) fn strike(world: &Arc<World>, dice: &mut Dice, count: u64, within: Duration) {
    for _ in 0..count {
        let at = dice.millis(500, u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(501));
        let lasts = dice.millis(1000, 25_000);
        let mut dice = dice.fork();
        let world = Arc::clone(world);
        let stage = Arc::clone(&world.stage);
        stage.spawn(0, async move {
            world.stage.sleep(at).await;
            let Some(blow) = drawn(&world, &mut dice) else { return };
            world.tell(format_args!("{blow:?} for {lasts:?}"));
            if blow.strikes_at_once() {
                world.trace().blow_strikes(blow.kind());
            }
            fall(&world, &mut dice, blow, lasts).await;
        });
    }
}

fn life_at(world: &World, spot: &Spot) -> Option<Arc<Life>> {
    let its = |life: &Arc<Life>| life.spot.as_ref() == Some(spot);
    world.truth.fleet.lives().into_iter().find(its)
}

fn leader(world: &World, service: ServiceName) -> Option<Arc<Life>> {
    let leads = |life: &Arc<Life>| life.service == service && life.lifecycle.role() == Role::Leads;
    world.truth.fleet.lives().into_iter().find(leads)
}

/// Does it, waits, undoes it.
async fn fall(world: &Arc<World>, dice: &mut Dice, blow: Blow, lasts: Duration) {
    let pause = world.stage.sleep(lasts);
    match blow {
        Blow::Process(spot, what) => hurt_process(world, &spot, what, lasts).await,
        Blow::Service(service, what) => {
            hurt_service(world, dice, (service, what), pause).await;
        }
        Blow::Machine(node, what) => hurt_machine(world, &node, what, pause).await,
        Blow::MachinesOff(node, other) => {
            power::turn(world, &node, Reach::Dead).await;
            power::turn(world, &other, Reach::Dead).await;
        }
        Blow::BusAway => {
            let cut = SERVICES.map(|service| (service, Port::Bus));
            world.faults().cut.extend(cut);
            pause.await;
            world.faults().cut.retain(|one| !cut.contains(one));
        }
        Blow::RecordsTwice => {
            world.truth.bus.duplicate_next_publishes(5);
            world.truth.bus.repeat_next_deliveries(5);
        }
        Blow::AllSaidDead => lie::say_that_all_is_dead(world, dice),
        Blow::MonitoringBlind => {
            lie::set_blind(world, true);
            pause.await;
            lie::set_blind(world, false);
        }
    }
}

async fn hurt_process(world: &Arc<World>, spot: &Spot, what: OfProcess, lasts: Duration) {
    let Some(life) = life_at(world, spot) else {
        return process::end_shadow(world, spot);
    };
    let pause = world.stage.sleep(lasts);
    match what {
        OfProcess::Crash => world.end(&life, "it crashes"),
        OfProcess::Hang => hang(world, &life, lasts).await,
        OfProcess::SessionExpires => life.session.expire(),
        OfProcess::StaleReads => {
            life.session.freeze_reads();
            pause.await;
            life.session.thaw_reads();
        }
        OfProcess::LostWatches => {
            life.set_deaf(true);
            pause.await;
            life.set_deaf(false);
            life.session.reconnect();
        }
    }
}

async fn hurt_service(
    world: &Arc<World>,
    dice: &mut Dice,
    (service, what): (ServiceName, OfService),
    pause: Sleep,
) {
    match what {
        OfService::CrashAtCall(bait, point, left) => world.faults().traps.push(Trap {
            caller: Some(service),
            bait,
            left,
            point,
            victim: Victim::Service(service),
        }),
        OfService::StrayOrder(kind) => end_while_on_its_way(world, service, kind, pause).await,
        OfService::PausedLeader => {
            pause_leader(world, service).await;
        }
        OfService::LaggingLeader => {
            if service == ServiceName::LifecycleManager {
                // It is to have orders to give by then.
                let service = ServiceName::NodeManager.registry_name().to_owned();
                lie::ask(world, dice, &LifecycleCommand::RestartService { service });
                world.stage.sleep(GATHERED).await;
            }
            let Some(life) = leader(world, service) else { return };
            world.trace().blow_strikes(LAGGING_LEADER);
            world.faults().lagging.insert(life.number);
            world.stage.sleep(LAG).await;
            life.session.expire();
            world.end(&life, "it crashes");
        }
        OfService::CutPort(port) => {
            world.faults().cut.insert((service, port));
            pause.await;
            world.faults().cut.remove(&(service, port));
        }
        OfService::ClockJumps(seconds) => {
            if let Some(clock) = world.truth.clocks.get(&service) {
                clock.advance(SignedDuration::from_secs(seconds));
            }
            world.checker().clock_jumped(world.stage.now());
        }
    }
}

/// Waits until such an order is on its way, and ends the leader that gave it.
async fn end_while_on_its_way(
    world: &Arc<World>,
    service: ServiceName,
    kind: CallKind,
    pause: Sleep,
) {
    if !sets_out(world, kind, pause).await {
        return;
    }
    if let Some(life) = leader(world, service) {
        world.trace().blow_strikes(STRAY_ORDER);
        life.session.expire();
        world.end(&life, "it crashes");
    }
}

async fn hurt_machine(world: &Arc<World>, node: &NodeName, what: OfMachine, pause: Sleep) {
    let is_up = world.truth.fleet.reach(node) == Reach::Up;
    match what {
        OfMachine::Off => power::turn(world, node, Reach::Dead).await,
        OfMachine::Unpowered => {
            power::take_power(world, node).await;
            pause.await;
            // Else nobody gives a registry up.
            world.stage.sleep(WITHOUT_POWER).await;
            power::give_power(world, node).await;
        }
        OfMachine::Partitioned if is_up => {
            world.trace().blow_strikes(PARTITIONED);
            power::cut_off(world, node).await;
            pause.await;
            power::reconnect(world, node).await;
        }
        OfMachine::AgentHangs if is_up => {
            world.trace().blow_strikes(AGENT_HANGS);
            power::turn(world, node, Reach::Hung).await;
            pause.await;
            if world.truth.fleet.reach(node) == Reach::Hung {
                power::turn(world, node, Reach::Up).await;
            }
        }
        OfMachine::Gray => {
            world.faults().slow_nodes.insert(node.clone());
            pause.await;
            world.faults().slow_nodes.remove(node);
        }
        OfMachine::Partitioned | OfMachine::AgentHangs => {}
    }
}

/// The leader of a service is not scheduled until long after its successor leads.
pub(super) async fn pause_leader(world: &Arc<World>, service: ServiceName) {
    let Some(life) = leader(world, service) else { return };
    world.trace().blow_strikes(PAUSED_LEADER);
    world.tell(format_args!("{}: it is not scheduled any more", life.label));
    hang(world, &life, PAUSE).await;
}

/// Its process is stopped and goes on later; its session ends if that takes too long.
async fn hang(world: &Arc<World>, life: &Arc<Life>, lasts: Duration) {
    world.stage.pause(life.number);
    world.truth.fleet.state().hanging.insert(life.number);
    if lasts > SESSION {
        world.stage.sleep(SESSION).await;
        if world.truth.fleet.state().hanging.contains(&life.number) {
            life.session.expire();
        }
        world.stage.sleep(lasts.saturating_sub(SESSION)).await;
    } else {
        world.stage.sleep(lasts).await;
    }
    wake(world, life);
}

/// An instance of a service that is placed hangs, and never goes on.
pub(super) async fn hang_for_ever(world: &Arc<World>) {
    let placed = [ServiceName::Monitoring, ServiceName::NodeManager];
    let lives = world.truth.fleet.lives().into_iter();
    let Some(life) = lives.filter(|life| placed.contains(&life.service)).last() else { return };
    world.tell(format_args!("{}: it hangs", life.label));
    world.stage.pause(life.number);
    world.truth.fleet.state().hanging.insert(life.number);
    world.stage.sleep(SESSION).await;
    life.session.expire();
}

/// Who hung goes on.
pub(super) fn wake(world: &Arc<World>, life: &Life) {
    world.truth.fleet.state().hanging.remove(&life.number);
    world.stage.resume(life.number);
}
