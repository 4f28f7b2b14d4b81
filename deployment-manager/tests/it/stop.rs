//! `stop app$…` to nothing being left.

use common::failure::{Failure, FailureCode};
use common::port::nodes::Probe;
use common::record::deployment::State;
use common::record::operation::Outcome;
use common::record::path;
use jiff::SignedDuration;
use testkit::nodes::Reach;
use testkit::routes::Health;

use crate::world::{World, image, name, node, until};

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_stopped_instance() {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
            world.settled("shop").await;
            world.assert_exact("shop", 0, "stopped");
            assert_eq!(world.routes.instances(), []);
            assert_eq!(world.deployment("shop").unwrap().state, State::Removed);
            world.clock.advance(SignedDuration::from_hours(1));
            until("the record is gone", || world.deployment("shop").is_none()).await;
        })
        .await;
    let outcome = world.outcome(2, "stop-app");
    let Some(Outcome::Succeeded { details: Some(details) }) = outcome else {
        panic!("{outcome:?}")
    };
    let gone = details["replicas"].as_array().unwrap();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().all(|one| one["port"].is_u64() && one["container_id"].is_string()));
    let folder = path::registry_app(&name("shop"));
    assert_eq!(world.store.records(&folder), [], "document 001's folder is gone as well");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_is_stopped() {
    let world = World::new();
    world.write_instance("shop", 1, 1);
    world
        .live(async {
            world.stop(1, "shop");
            assert_eq!(world.told(1).await, "done stopped$shop");
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
            world.deployed(3, "shop").await;
        })
        .await;
    world.assert_exact("shop", 1, "deployed again");
    assert_eq!(world.deployment("shop").unwrap().generation.0, 3);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_deployed_anew_has_the_replicas_it_pins_whatever_was_scaled_before() {
    let world = World::new();
    world.write_instance("shop", 1, 1);
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.scale("shop", 3);
            until("there are three", || world.registry("shop").len() == 3).await;
            world.settled("shop").await;
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
            // The load balancer has not taken the number away yet.
            world.write_instance("shop", 1, 2);
            world.deployed(3, "shop").await;
            world.settled("shop").await;
            world.assert_exact("shop", 2, "deployed anew");
            world.scale("shop", 1);
            until("there is one", || world.slots("shop").len() == 1).await;
            world.deployed(4, "shop").await;
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 1, "deployed over what runs: the number stays wanted");
}

#[tokio::test(start_paused = true)]
async fn a_route_that_cannot_be_removed_is_told_and_goes_on_serving() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let failure = Failure::new(FailureCode::RouteFailed, "the edge did not load the table");
            world.routes.set_health(Health::Fails(failure));
            world.stop(2, "shop");
            let told = world.told(2).await;
            let text =
                "App shop not stopped. Error - ROUTE_FAILED: the edge did not load the table";
            assert_eq!(told, text);
            let outcome = world.outcome(2, "stop-app");
            let Some(Outcome::Failed { details: Some(details), .. }) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(details["replicas"][0]["slot"], 1, "{details}");
            world.routes.set_health(Health::Answers);
            world.settled("shop").await;
            world.assert_exact("shop", 1, "not stopped");
            world.stop(3, "shop");
            assert_eq!(world.told(3).await, "done stopped$shop");
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 0, "stopped");
}

#[tokio::test(start_paused = true)]
async fn a_stop_overtakes_a_deploy() {
    let world = World::new();
    world
        .live(async {
            world.nodes.script_probes(&image(2), [Probe::NotListening { listening: Vec::new() }]);
            world.deploy(1, "shop");
            until("it is started", || {
                world.deployment("shop").is_some_and(|shop| shop.state == State::Starting)
            })
            .await;
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
            assert!(world.told(1).await.contains("SUPERSEDED"));
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 0, "stopped");
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_node_holds_is_swept_when_it_comes_back() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let home = world.slots("shop")[0].place.clone().unwrap().node;
            world.nodes.set_reach(&home, Reach::Partitioned).await;
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
            assert_eq!(world.containers().len(), 1);
            world.nodes.set_reach(&home, Reach::Up).await;
            until("it is swept", || world.containers().is_empty()).await;
        })
        .await;
    assert!(!world.nodes.containers(&node("node-1")).iter().any(|_| true));
}
