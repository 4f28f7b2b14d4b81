//! One thing that is asked of a fleet that is well: it is done, once, whichever of its calls is repeated or fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::message::{BootstrapperCommand, LifecycleCommand};
use common::name::NodeName;
use common::port::part::PartImage;
use common::record::operation::Outcome;
use common::record::path;
use common::record::platform::ServiceImage;
use common::service::ServiceName;
use testkit::nodes::Reach;

use super::story::{outcome, switch};
use super::{lie, part_of, power};
use crate::checker::Invariant;
use crate::dice::Dice;
use crate::script::request;
use crate::world::World;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// The platform is started.
    StartPlatform,
    StopPlatform,
    /// Every instance of a service is restarted.
    RestartService,
    RestartMachine,
    /// An instance of a service goes to another machine.
    MoveService,
    /// A service gets another version.
    UpgradeService,
}

impl Errand {
    pub const ALL: [Errand; 6] = [
        Errand::StartPlatform,
        Errand::StopPlatform,
        Errand::RestartService,
        Errand::RestartMachine,
        Errand::MoveService,
        Errand::UpgradeService,
    ];
}

/// So long after it was heard last a machine is not said to answer.
const UNHEARD: Duration = Duration::from_secs(4);
/// Within which time a machine is helped that nobody has restarted.
const COMES_BACK: Duration = Duration::from_mins(3);
/// Whose instances are restarted, moved and replaced: it has two.
const SERVICE: ServiceName = ServiceName::NodeManager;

/// What is there before it is asked for.
struct Before {
    /// Where the service runs, and how often each of its containers was started.
    starts: Vec<(NodeName, u32)>,
    restarts: u64,
}

/// Asks for it once, waits until it has ended, and looks whether it was done.
pub(super) async fn run(world: &Arc<World>, dice: &mut Dice, errand: Errand) {
    let before = Before { starts: starts(world), restarts: world.checker().restarts() };
    match errand {
        Errand::StartPlatform => ask(world, dice, BootstrapperCommand::Start).await,
        Errand::StopPlatform => ask(world, dice, BootstrapperCommand::Stop).await,
        Errand::RestartService => {
            let service = SERVICE.registry_name().to_owned();
            order(world, dice, &LifecycleCommand::RestartService { service }).await;
            let began_again =
                |((node, count), (now, more)): (&(NodeName, u32), &(NodeName, u32))| {
                    node == now && count < more
                };
            let all = before.starts.iter().zip(&starts(world)).all(began_again);
            let ordered = world.checker().restarts() - before.restarts;
            // Who ends by itself meanwhile begins again without an order.
            let once = all && ordered <= before.starts.len() as u64;
            demand(world, once, "each instance is restarted once at most, and begins again");
        }
        Errand::RestartMachine => {
            let Some(node) = world.node(2).cloned() else { return };
            // Only what does not answer is restarted.
            power::turn(world, &node, Reach::Dead).await;
            world.stage.sleep(UNHEARD).await;
            let command = LifecycleCommand::RestartNode { node: node.clone() };
            let came = ordered(world, dice, &command).await;
            // Whether an order was carried out whose answer is lost nobody knows: it is not given twice, and the
            // machine is helped later.
            let is_told = came.is_some_and(|came| !succeeded(&came) || is_up(world, &node));
            demand(world, is_told, "the machine is up once that is told");
            demand(world, comes_back(world, &node).await, "the machine comes back");
        }
        Errand::MoveService => relocate(world, dice, &before).await,
        Errand::UpgradeService => upgrade(world, dice).await,
    }
}

async fn relocate(world: &Arc<World>, dice: &mut Dice, before: &Before) {
    let on: BTreeSet<NodeName> = before.starts.iter().map(|(node, _)| node.clone()).collect();
    let others = (0..super::MACHINES - 1).filter_map(|index| world.node(index));
    let to = others.into_iter().find(|node| !on.contains(*node)).cloned();
    let Some((from, to)) = on.first().cloned().zip(to) else {
        return demand(world, false, "there is a machine to move to");
    };
    let service = name();
    let command = BootstrapperCommand::MoveService { service, from: from.clone(), to: to.clone() };
    ask(world, dice, command).await;
    let mut wanted = on;
    wanted.remove(&from);
    wanted.insert(to);
    let now = world.truth.fleet.runs_on(&part_of(SERVICE));
    demand(world, now == wanted, "the instance runs on the other machine, and not where it was");
}

async fn upgrade(world: &Arc<World>, dice: &mut Dice) {
    let parts = &world.truth.fleet.parts;
    let image = ImageRef::new("127.0.0.1:5000/avishkar-another", Digest::of(b"another"));
    let image = image.expect("it is a repository's name");
    parts.registry().offer(&image);
    let version = Some(ServiceImage::Named(image.clone()));
    ask(world, dice, BootstrapperCommand::UpgradeService { service: name(), image: version }).await;
    let part = part_of(SERVICE);
    let on = world.truth.fleet.runs_on(&part);
    let has_it = |node: &NodeName| {
        let told = parts.told(node, &part);
        let is_made_so = |hash: String| {
            parts.parts_of(node).iter().any(|one| one.name == part && one.spec_hash == hash)
        };
        told.is_some_and(|told| {
            told.image == PartImage::Named(image.clone()) && is_made_so(told.hash())
        })
    };
    demand(world, on.len() == 2 && on.iter().all(has_it), "every instance is of the new version");
}

fn name() -> common::name::LegacyName {
    SERVICE.registry_name().parse().expect("services' names are names")
}

/// Where the service runs, and how often its container was started there.
fn starts(world: &World) -> Vec<(NodeName, u32)> {
    let (fleet, part) = (&world.truth.fleet, part_of(SERVICE));
    let count = |node: NodeName| {
        let starts = fleet.parts.engine(&node).starts(&part);
        (node, starts)
    };
    fleet.runs_on(&part).into_iter().map(count).collect()
}

/// Asks the platform initializer.
async fn ask(world: &Arc<World>, dice: &mut Dice, command: BootstrapperCommand) {
    let id = request(dice);
    switch(world, &command, id);
    let at = path::operation(id, ServiceName::PlatformInitializer, command.kind());
    let came = outcome(world, &at).await;
    demand_done(world, came.as_ref(), &format!("{command:?}"));
}

/// Asks the lifecycle manager.
async fn order(world: &Arc<World>, dice: &mut Dice, command: &LifecycleCommand) {
    let came = ordered(world, dice, command).await;
    demand_done(world, came.as_ref(), &format!("{command:?}"));
}

/// How what the lifecycle manager is asked for ends.
async fn ordered(
    world: &Arc<World>,
    dice: &mut Dice,
    command: &LifecycleCommand,
) -> Option<Outcome> {
    let id = lie::ask(world, dice, command);
    let at = path::operation(id, ServiceName::LifecycleManager, command.kind());
    outcome(world, &at).await
}

fn succeeded(came: &Outcome) -> bool {
    matches!(came, Outcome::Succeeded { .. })
}

fn demand_done(world: &World, came: Option<&Outcome>, what: &str) {
    demand(world, came.is_some_and(succeeded), &format!("{what} is done, and came to {came:?}"));
}

fn is_up(world: &World, node: &NodeName) -> bool {
    world.truth.fleet.reach(node) == Reach::Up
}

/// Whether a machine is up within its time.
async fn comes_back(world: &Arc<World>, node: &NodeName) -> bool {
    let began = world.stage.now();
    while Duration::from_micros(world.stage.now() - began) < COMES_BACK {
        if is_up(world, node) {
            return true;
        }
        world.stage.sleep(Duration::from_secs(1)).await;
    }
    false
}

fn demand(world: &World, holds: bool, what: &str) {
    if !holds {
        let what = format!("it does not hold that {what}");
        world.tell(format_args!("VIOLATION {what}"));
        world.checker().violate(Invariant::P5AsWished, what);
    }
}
