//! The story of a fleet: it is found, people start and stop the platform and have things restarted, much goes wrong,
//! and in the end all is as it was wished last.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::id::RequestId;
use common::message::{BootstrapperCommand, LifecycleCommand};
use common::port::store::Path;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::platform::PlatformGoal;
use common::service::ServiceName;
use common::topic::Topic;

use super::{chaos, description, lie, power};
use crate::call::Fault;
use crate::checker::{self, Invariant};
use crate::dice::Dice;
use crate::drain::drain;
use crate::fault::{Bait, Faults, Point, Rates, Trap, Victim};
use crate::script::{Tally, request};
use crate::world::World;

/// How often it is looked whether a request has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a start or a stop may take once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often the last wish is asked for at most.
const INSISTENCE: usize = 4;
/// Within which time a fleet settles.
const SETTLES_WITHIN: Duration = Duration::from_mins(8);

/// What was just started is not restarted again.
const IN_PEACE: Duration = Duration::from_secs(30);

/// The services whose restart people ask for.
const SERVICES: [ServiceName; 4] = [
    ServiceName::NodeManager,
    ServiceName::Monitoring,
    ServiceName::AppManager,
    ServiceName::LifecycleManager,
];

/// Tells it, from the first start to the last look.
pub(crate) async fn tell(
    world: &Arc<World>,
    tally: &Arc<Tally>,
    mut dice: Dice,
    (commands, blows): (usize, u64),
) {
    world.faults().rates = Rates::calm(&mut dice);
    description::found(world).await;
    world.stage.sleep(dice.millis(0, 9000)).await;
    let acts = acts(&mut dice, commands);
    let within = acts.iter().map(|(pause, _)| *pause).sum();
    if blows > 0 {
        world.faults().rates = Rates::drawn(&mut dice);
        chaos::strike(world, &mut dice, blows, within);
    }
    for (pause, act) in acts {
        world.stage.sleep(pause).await;
        tally.commands.fetch_add(1, Ordering::Relaxed);
        perform(world, &mut dice, act);
    }
    world.stage.sleep(dice.millis(1000, 20_000)).await;
    // The edge's machine is the last: the load balancer can be nowhere else.
    let others = super::MACHINES as u64 - 1;
    let lost = dice.happens(2000).then(|| dice.below(others)).filter(|_| blows > 0);
    heal(world, lost).await;
    if blows > 0 && dice.happens(3000) {
        chaos::hang_for_ever(world).await;
    }
    // What was on a machine that is lost cannot be said to have ended.
    let wish =
        if lost.is_some() || dice.happens(6500) { PlatformGoal::On } else { PlatformGoal::Off };
    settle(world, tally, &mut dice, wish).await;
}

/// One bad day of a platform that runs.
pub(crate) async fn try_out(
    world: &Arc<World>,
    tally: &Arc<Tally>,
    mut dice: Dice,
    trial: super::Trial,
) {
    world.faults().rates = Rates::calm(&mut dice);
    description::found(world).await;
    settle(world, tally, &mut dice, PlatformGoal::On).await;
    super::trial::play(world, &mut dice, trial).await;
    settle(world, tally, &mut dice, PlatformGoal::On).await;
}

/// One thing is asked of a platform that is well, and one of its calls meets a fault.
pub(crate) async fn run_errand(
    world: &Arc<World>,
    tally: &Arc<Tally>,
    mut dice: Dice,
    (errand, forced): (super::Errand, Option<(u64, Fault)>),
) {
    let (before, after) = match errand {
        super::Errand::StartPlatform => (PlatformGoal::Off, PlatformGoal::On),
        super::Errand::StopPlatform => (PlatformGoal::On, PlatformGoal::Off),
        super::Errand::RestartService
        | super::Errand::RestartMachine
        | super::Errand::MoveService
        | super::Errand::UpgradeService => (PlatformGoal::On, PlatformGoal::On),
    };
    world.faults().rates = Rates::calm(&mut dice);
    description::found(world).await;
    settle(world, tally, &mut dice, before).await;
    world.stage.sleep(IN_PEACE).await;
    arm(&mut world.faults(), forced);
    super::errand::run(world, &mut dice, errand).await;
    let is_left = {
        let mut faults = world.faults();
        let traps = std::mem::take(&mut faults.traps);
        faults.forced.take().is_some() || !traps.is_empty()
    };
    tally.forced_met.store(!is_left, Ordering::Relaxed);
    settle(world, tally, &mut dice, after).await;
}

/// One call with an effect meets a fault, or its caller ends around it.
fn arm(faults: &mut Faults, forced: Option<(u64, Fault)>) {
    let Some((left, fault)) = forced else { return };
    let trap =
        |point| Trap { caller: None, bait: Bait::Effect, left, point, victim: Victim::Caller };
    match fault {
        Fault::CrashBefore => faults.traps.push(trap(Point::Before)),
        Fault::CrashAfter => faults.traps.push(trap(Point::After)),
        Fault::None
        | Fault::Slow
        | Fault::Refused
        | Fault::RequestLost
        | Fault::AnswerLost
        | Fault::Late
        | Fault::Twice => faults.forced = Some((left, fault)),
    }
}

/// In the end all is as it is wished last.
async fn settle(world: &Arc<World>, tally: &Tally, dice: &mut Dice, wish: PlatformGoal) {
    if insist(world, tally, dice, wish).await {
        let look = |world: &World| {
            let now = world.stage.now();
            checker::kept(&world.checker(), &world.truth, now)
        };
        drain(world, tally, SETTLES_WITHIN, look).await;
    }
}

/// One thing that somebody asks for.
#[derive(Debug, Clone)]
enum Act {
    Switch(BootstrapperCommand, RequestId),
    RestartService(ServiceName),
    /// By its number.
    RestartNode(u64),
}

fn acts(dice: &mut Dice, commands: usize) -> Vec<(Duration, Act)> {
    let first = Act::Switch(BootstrapperCommand::Start, request(dice));
    let mut acts = vec![(dice.millis(0, 3000), first)];
    while acts.len() < commands {
        let act = match dice.below(100) {
            0..22 => Act::Switch(BootstrapperCommand::Start, request(dice)),
            22..45 => Act::Switch(BootstrapperCommand::Stop, request(dice)),
            45..75 => Act::RestartService(*dice.one_of(&SERVICES)),
            75..88 => Act::RestartNode(dice.below(super::MACHINES as u64)),
            _ => {
                let past: Vec<Act> =
                    acts.iter().map(|(_, act): &(Duration, Act)| act.clone()).collect();
                dice.one_of(&past).clone()
            }
        };
        acts.push((dice.millis(100, 26_000), act));
    }
    acts
}

fn perform(world: &Arc<World>, dice: &mut Dice, act: Act) {
    match act {
        Act::Switch(command, id) => switch(world, &command, id),
        Act::RestartService(service) => {
            let service = service.registry_name().to_owned();
            lie::ask(world, dice, &LifecycleCommand::RestartService { service });
        }
        Act::RestartNode(number) => {
            let index = usize::try_from(number).unwrap_or_default();
            let Some(node) = world.node(index).cloned() else { return };
            lie::ask(world, dice, &LifecycleCommand::RestartNode { node });
        }
    }
}

/// The platform is to be started, or stopped, or a service of it changed.
pub(super) fn switch(world: &World, command: &BootstrapperCommand, id: RequestId) {
    world.tell(format_args!("somebody sends {command:?} as {id}"));
    world.checker().asks(id, ServiceName::PlatformInitializer, command.kind());
    world.truth.bus.inject(&command.envelope(Topic::FirstTopic, id));
}

/// Ends everything that goes wrong, but for one machine that never comes back, if one is lost.
async fn heal(world: &Arc<World>, lost: Option<u64>) {
    world.tell(format_args!("everything heals"));
    {
        let mut faults = world.faults();
        let instant = faults.rates.instant;
        *faults = Faults::default();
        faults.rates.instant = instant;
    }
    lie::set_blind(world, false);
    for life in world.truth.fleet.lives() {
        chaos::wake(world, &life);
        life.session.thaw_reads();
        life.set_deaf(false);
        life.session.reconnect();
    }
    for index in 0..super::MACHINES {
        let Some(node) = world.node(index).cloned() else { continue };
        if lost.is_some_and(|lost| usize::try_from(lost) == Ok(index)) {
            world.tell(format_args!("{node} is gone for ever"));
            power::lose(world, &node).await;
        } else {
            power::give_power(world, &node).await;
        }
    }
}

/// Somebody wants the platform on, or off, and asks until it is; says whether it came to that.
async fn insist(world: &Arc<World>, tally: &Tally, dice: &mut Dice, wish: PlatformGoal) -> bool {
    let command = match wish {
        PlatformGoal::On => BootstrapperCommand::Start,
        PlatformGoal::Off => BootstrapperCommand::Stop,
    };
    let mut said = None;
    for _ in 0..INSISTENCE {
        let id = request(dice);
        tally.commands.fetch_add(1, Ordering::Relaxed);
        switch(world, &command, id);
        let at = path::operation(id, ServiceName::PlatformInitializer, command.kind());
        match outcome(world, &at).await {
            Some(Outcome::Succeeded { .. }) => {
                world.checker().has_wished(wish);
                return true;
            }
            other => said = other,
        }
    }
    let what = format!("{command:?} came to {said:?} though nothing goes wrong");
    world.tell(format_args!("VIOLATION {what}"));
    world.checker().violate(Invariant::P5AsWished, what);
    false
}

/// How a request ended; none if it did not in time.
pub(super) async fn outcome(world: &Arc<World>, at: &Path) -> Option<Outcome> {
    let began = world.stage.now();
    while Duration::from_micros(world.stage.now() - began) < PATIENCE {
        let records = world.truth.store.records(at);
        let known =
            records.first().and_then(|(_, value)| common::record::decode::<Operation>(value).ok());
        if let Some(outcome) = known.and_then(|operation| operation.outcome) {
            return Some(outcome);
        }
        world.stage.sleep(LOOK_EVERY).await;
    }
    None
}
