//! Nodes that are drained: what they have is served from others first, over crashes too, and what has nowhere to go stays.

use std::time::Duration;

use common::failure::FailureCode;
use common::record::deployment::SlotState;
use common::record::node::Verdict;
use tokio::time::sleep;

use crate::node_manager::Placement;
use crate::world::{World, name, until};

/// How many replicas serve there.
fn served_from(world: &World, node: &str) -> usize {
    let slots = world.slots("shop").into_iter();
    let here = slots.filter(|slot| slot.state == SlotState::Routed);
    here.filter(|slot| slot.place.as_ref().is_some_and(|place| place.node.as_str() == node)).count()
}

async fn with_one_each() -> World {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    world.live(world.deployed(1, "shop")).await;
    assert_eq!((served_from(&world, "node-1"), served_from(&world, "node-2")), (1, 1));
    world
}

/// Until all is on the other node; at no time fewer are served than are wanted.
async fn emptied(world: &World) {
    until("all is served from the other node", || {
        assert!(world.routes.upstreams(&name("shop")).len() >= 2, "too few are served");
        served_from(world, "node-2") == 2 && world.slots("shop").len() == 2
    })
    .await;
    world.settled("shop").await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_node_is_emptied_whenever_who_does_it_crashes() {
    let mut crashes = 0;
    loop {
        let world = with_one_each().await;
        world.set_verdict("node-1", Verdict::Draining);
        let ended = world.live_for(crashes, emptied(&world)).await;
        world.live(emptied(&world)).await;
        world.assert_exact("shop", 2, &format!("crash after {crashes} polls"));
        if ended {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 20, "there are many points to crash at: {crashes}");
}

#[tokio::test(start_paused = true)]
async fn what_has_nowhere_to_go_is_served_where_it_is_and_says_why_until_there_is_room() {
    let world = with_one_each().await;
    let failure = || world.deployment("shop").unwrap().failure;
    world.set_placement(Placement::Full);
    world.set_verdict("node-1", Verdict::Draining);
    world
        .live(async {
            until("it says why", || failure().is_some()).await;
            let told = failure().unwrap();
            assert_eq!(told.code, FailureCode::NoNodeFits);
            assert_eq!(told.message, "no live node has room for one more replica");
            sleep(Duration::from_mins(2)).await;
            assert_eq!((served_from(&world, "node-1"), served_from(&world, "node-2")), (1, 1));
            assert_eq!(world.routes.upstreams(&name("shop")).len(), 2);
            world.set_placement(Placement::Spread);
            emptied(&world).await;
        })
        .await;
    assert_eq!(failure(), None);
    world.assert_exact("shop", 2, "emptied");
}

#[tokio::test(start_paused = true)]
async fn what_had_nowhere_to_go_is_as_before_once_its_node_is_returned() {
    let world = with_one_each().await;
    let failure = || world.deployment("shop").unwrap().failure;
    let before = world.slots("shop");
    world.set_placement(Placement::Full);
    world.set_verdict("node-1", Verdict::Draining);
    world
        .live(async {
            until("it says why", || failure().is_some()).await;
            world.set_verdict("node-1", Verdict::Live);
            until("it is forgotten", || failure().is_none()).await;
            world.settled("shop").await;
        })
        .await;
    assert_eq!(world.slots("shop"), before);
    world.assert_exact("shop", 2, "returned");
}
