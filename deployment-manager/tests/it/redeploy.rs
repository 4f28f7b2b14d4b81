//! A newer generation beside the one that is served.

use common::id::SlotNumber;
use common::port::nodes::Probe;
use common::record::deployment::State;
use common::record::operation::Outcome;
use jiff::SignedDuration;
use serde_json::json;
use testkit::routes::{Call, Health};

use crate::world::{World, image, name, node, until};

fn running_release_1() -> World {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    world
}

#[tokio::test(start_paused = true)]
async fn the_new_replicas_take_over_at_once_and_then_the_old_ones_go() {
    let world = running_release_1();
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.routes.take_calls();
            world.write_instance("shop", 2, 2);
            world.deployed(2, "shop").await;
        })
        .await;
    world.assert_exact("shop", 2, "redeployed");
    let numbers: Vec<u32> = world.slots("shop").iter().map(|slot| slot.number.0).collect();
    assert_eq!(numbers, [3, 4]);
    let Some(Outcome::Succeeded { details: Some(details) }) = world.outcome(2, "deploy-app") else {
        panic!("it has succeeded");
    };
    assert_eq!(details["replicas"].as_array().unwrap().len(), 2, "the old ones are not told");
    let mut sets: Vec<Vec<SlotNumber>> = world
        .routes
        .take_calls()
        .iter()
        .map(|call| match call {
            Call::Set(wanted) => wanted.upstreams.iter().map(|upstream| upstream.slot).collect(),
            Call::Remove(..) => Vec::new(),
        })
        .collect();
    // It is told once more before the old ones go.
    sets.dedup();
    assert_eq!(sets, [[SlotNumber(3), SlotNumber(4)]], "one change of the route");
    assert_eq!(world.routes.wanted(&name("shop")).unwrap().image, image(2).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_failed_redeploy_leaves_the_old_replicas_serving() {
    let world = running_release_1();
    let exited = Probe::Exited { code: 1, out_of_memory: false, crash_loop: false };
    world.nodes.script_probes(&image(2), [exited]);
    let mut before = None;
    world
        .live(async {
            world.deployed(1, "shop").await;
            before = world.routes.wanted(&name("shop"));
            world.write_instance("shop", 2, 2);
            world.deployed(2, "shop").await;
        })
        .await;
    let told = world.ends(2).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(told, ["App shop not deployed. Error - APP_EXITED: it ended with code 1"]);
    assert_eq!(world.routes.wanted(&name("shop")), before);
    world.assert_exact("shop", 2, "failed");
    let deployment = world.deployment("shop").unwrap();
    assert_eq!(deployment.state, State::Failed);
    assert_eq!(deployment.serving.unwrap().release.0, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_served_after_a_failed_redeploy_is_kept_and_scaled() {
    let world = running_release_1();
    world.nodes.script_probes(&image(2), [Probe::Unhealthy { status: Some(500) }]);
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.write_instance("shop", 2, 2);
            world.deployed(2, "shop").await;
            world.scale("shop", 3);
            until("there are three", || world.registry("shop").len() == 3).await;
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 3, "scaled");
    let images = world.nodes.containers(&node("node-1"));
    assert!(images.iter().all(|container| container.image == image(1)));
}

#[tokio::test(start_paused = true)]
async fn a_front_door_that_does_not_answer_brings_the_old_replicas_back() {
    let world = running_release_1();
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.routes.set_answer(&name("shop"), Some(502));
            world.write_instance("shop", 2, 2);
            world.deploy(2, "shop");
            let told = world.told(2).await;
            let text = "App shop not deployed. Error - ROUTE_FAILED: the front door answered 502";
            assert_eq!(told, text);
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 2, "failed");
    let numbers: Vec<u32> = world.slots("shop").iter().map(|slot| slot.number.0).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn while_the_load_balancer_is_away_after_a_take_over_the_next_release_is_started() {
    let mut world = World::new();
    world.config.patience.watch = SignedDuration::from_secs(5);
    world.nodes.offer_image(&image(3));
    world.write_release("shop", 3, &json!({ "kind": "image", "image": image(3) }));
    world.write_instance("shop", 1, 1);
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.write_instance("shop", 2, 1);
            world.deploy(2, "shop");
            let leads_to = |release| {
                let wanted = world.routes.wanted(&name("shop"));
                wanted.is_some_and(|wanted| wanted.image == image(release).to_string())
            };
            until("release 2 has taken over", || leads_to(2)).await;
            world.routes.set_health(Health::Down);
            world.write_instance("shop", 3, 1);
            world.deploy(3, "shop");
            // What was before stays: the route may lead to it still.
            until("release 3 is started", || world.containers().len() == 3).await;
            world.routes.set_health(Health::Answers);
            assert_eq!(world.told(3).await, "done shop deploy - 192.0.2.10:2000");
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 1, "release 3");
}
