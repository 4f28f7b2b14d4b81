//! Machines: their power, their network, their agents.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use common::name::NodeName;
use testkit::nodes::Reach;

use super::{Fleet, process};
use crate::life::Life;
use crate::world::World;

/// How long a machine takes from its power to its agent.
const BOOT: Duration = Duration::from_secs(3);

impl Fleet {
    fn set_away(&self, node: &NodeName, reach: Reach) {
        let mut state = self.state();
        if reach == Reach::Up {
            state.away.remove(node);
        } else {
            state.away.insert(node.clone(), reach);
        }
    }

    pub(crate) fn is_unpowered(&self, node: &NodeName) -> bool {
        self.state().unpowered.contains(node)
    }
}

/// A machine is reached so from now on; what runs on it follows.
pub(super) async fn turn(world: &Arc<World>, node: &NodeName, reach: Reach) {
    let truth = &world.truth;
    truth.fleet.set_away(node, reach);
    truth.nodes.set_reach(node, reach).await;
    truth.fleet.parts.set_reach(node, reach).await;
    process::attend(world);
    world.checker().struck(node, world.stage.now());
    world.observe();
}

/// Nobody can switch it on until [`give_power`].
pub(super) async fn take_power(world: &Arc<World>, node: &NodeName) {
    world.truth.fleet.state().unpowered.insert(node.clone());
    turn(world, node, Reach::Dead).await;
}

/// It never comes back.
pub(super) async fn lose(world: &Arc<World>, node: &NodeName) {
    world.truth.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone());
    take_power(world, node).await;
}

pub(super) async fn give_power(world: &Arc<World>, node: &NodeName) {
    if world.truth.is_lost(node) {
        return;
    }
    world.truth.fleet.state().unpowered.remove(node);
    turn(world, node, Reach::Up).await;
}

/// The sessions of those who are cut off end after so long.
const SESSION: Duration = Duration::from_secs(6);

/// Nothing reaches the machine, and its processes reach nothing.
pub(super) async fn cut_off(world: &Arc<World>, node: &NodeName) {
    world.faults().cut_off.insert(node.clone());
    turn(world, node, Reach::Partitioned).await;
    let (world, node) = (Arc::clone(world), node.clone());
    let stage = Arc::clone(&world.stage);
    stage.spawn(0, async move {
        world.stage.sleep(SESSION).await;
        if world.faults().cut_off.contains(&node) {
            for life in lives_on(&world, &node) {
                life.session.expire();
            }
        }
    });
}

fn lives_on(world: &World, node: &NodeName) -> Vec<Arc<Life>> {
    let mut lives = world.truth.fleet.lives();
    lives.retain(|life| life.spot.as_ref().is_some_and(|spot| spot.node == *node));
    lives
}

/// Ends [`cut_off`].
pub(super) async fn reconnect(world: &Arc<World>, node: &NodeName) {
    world.faults().cut_off.remove(node);
    // It may have lost its power meanwhile.
    if world.truth.fleet.reach(node) == Reach::Partitioned {
        turn(world, node, Reach::Up).await;
    }
    for life in lives_on(world, node) {
        life.session.reconnect();
    }
}

/// Somebody switches a machine on; says whether it runs then.
pub(crate) async fn power_on(world: &Arc<World>, node: &NodeName) -> bool {
    if world.truth.fleet.is_unpowered(node) {
        return false;
    }
    match world.truth.fleet.reach(node) {
        Reach::Up => {}
        Reach::Dead => {
            world.stage.sleep(BOOT).await;
            if world.truth.fleet.is_unpowered(node) {
                return false;
            }
            turn(world, node, Reach::Up).await;
        }
        // Who signs in to it has its agent run anew.
        Reach::Hung => turn(world, node, Reach::Up).await,
        Reach::Partitioned => return false,
    }
    true
}

/// Somebody switches a machine off and on; says whether it runs then.
pub(crate) async fn cycle(world: &Arc<World>, node: &NodeName) -> bool {
    if world.truth.fleet.is_unpowered(node) {
        return false;
    }
    turn(world, node, Reach::Dead).await;
    power_on(world, node).await
}
