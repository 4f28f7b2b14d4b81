//! A storm: many commands on five apps while much goes wrong; sometimes a quiet time follows in which a node comes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use testkit::nodes::Reach;

use crate::chaos::{self, Scope, lose_who_keeps_a_bundle, strike};
use crate::checker::Demand;
use crate::dice::Dice;
use crate::fault::Rates;
use crate::ills::{err, ill, lose_a_node, offer};
use crate::load;
use crate::script::{Extent, HEARD, Script, Tally, app};
use crate::visitors::{ask_for, look};
use crate::world::World;

/// In one of so many storms the replicas of an app follow its load.
const BALANCED_EVERY: u64 = 3;
/// How long the load varies after the last command: while an app is deployed again and again nothing is decided by it.
const LOAD_GOES_ON: Duration = Duration::from_secs(14);
/// One of so many storms that spare nobody ends with a quiet time.
const QUIET_EVERY: u64 = 7;
/// How long a node is away then: long enough to be declared dead.
const AWAY: Duration = Duration::from_secs(9);
/// How long nothing is asked for after that: a node that was away gets nothing for a while.
const QUIET: Duration = Duration::from_secs(45);

/// Plays it.
pub(crate) async fn play(
    world: &Arc<World>,
    tally: &Arc<Tally>,
    dice: &mut Dice,
    (seed, commands): (u64, usize),
) {
    let balances = seed.is_multiple_of(BALANCED_EVERY);
    world.truth.balances.store(balances, Ordering::Relaxed);
    let most_replicas = world.settings.most_replicas;
    let script = Script::drawn(dice, &Extent { commands, most_replicas, balances });
    offer(world, &script);
    let blows = dice.between(6, 9);
    let spared = seed % 4 == 3;
    let is_quiet = seed % QUIET_EVERY == 1 && !spared;
    let scope = if spared { Scope::ControlPlane } else { Scope::Everything };
    if spared {
        look(world, Demand::Always);
    }
    let within = script.length();
    world.faults().rates = Rates::drawn(dice);
    ill(world, dice);
    err(world, dice);
    ask_for(world, common::name::InstanceName::from(app(HEARD)).into());
    if balances {
        let goes_on = if is_quiet { AWAY + QUIET / 2 } else { LOAD_GOES_ON };
        load::vary(world, dice, within + goes_on);
    }
    strike(world, dice, (blows, scope), within);
    lose_who_keeps_a_bundle(world, seed, within);
    script.play(Arc::clone(world), Arc::clone(tally)).await;
    if is_quiet {
        rest(world, dice).await;
    } else if balances {
        strike(world, dice, (2, scope), LOAD_GOES_ON);
        world.stage.sleep(LOAD_GOES_ON).await;
    }
    if dice.happens(2500) && !spared && !is_quiet {
        lose_a_node(world, dice).await;
    }
    world.stage.sleep(Duration::from_secs(1)).await;
}

/// A node is away and comes back, and nobody asks for anything: replicas move to it.
async fn rest(world: &Arc<World>, dice: &mut Dice) {
    let index = usize::try_from(dice.below(3)).unwrap_or_default();
    let Some(node) = world.node(index).cloned() else { return };
    world.tell(format_args!("{node} is away, and nobody asks for anything"));
    chaos::set_reach(world, &node, Reach::Dead).await;
    world.stage.sleep(AWAY).await;
    chaos::set_reach(world, &node, Reach::Up).await;
    strike(world, dice, (2, Scope::Everything), QUIET);
    world.stage.sleep(QUIET).await;
}
