//! Every way in which a deploy fails: the code, the sentence, and that nothing is left.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use common::failure::{Failure, FailureCode};
use common::id::RequestId;
use common::port::nodes::Probe;
use common::record::operation::Outcome;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use testkit::routes::Health;
use uuid::Uuid;

use crate::node_manager::Placement;
use crate::world::{World, image, node, until};

/// Deploys, and returns what was told; nothing may be left.
async fn failing(world: &World) -> String {
    let told = world
        .live(async {
            world.deploy(1, "shop");
            let told = world.told(1).await;
            world.settled("shop").await;
            told
        })
        .await;
    world.assert_exact("shop", 0, "failed");
    assert_eq!(world.routes.instances(), []);
    told
}

fn scripted(probe: Probe) -> World {
    let world = World::new();
    world.nodes.script_probes(&image(2), [probe]);
    world
}

#[tokio::test(start_paused = true)]
async fn an_app_that_ends_is_told_with_its_last_words_within_15_seconds() {
    let world = World::new();
    world.nodes.script_probes(&image(2), [Probe::NotListening { listening: Vec::new() }]);
    let began = tokio::time::Instant::now();
    world
        .live(async {
            world.deploy(1, "shop");
            until("it runs", || world.containers().len() == 1).await;
            let (home, container) = world.containers().remove(0);
            let engine = world.nodes.engine(&home);
            for line in 0..60 {
                engine.print(&container, &format!("line {line}"));
            }
            engine.exit(&container, 3);
            let told = world.told(1).await;
            assert_eq!(told, "App shop not deployed. Error - APP_EXITED: it ended with code 3");
        })
        .await;
    assert!(began.elapsed().as_secs() < 15);
    let outcome = world.outcome(1, "deploy-app");
    let Some(Outcome::Failed { failure, details }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.output.len(), 50);
    assert_eq!(failure.output.last().map(String::as_str), Some("line 59"));
    let replicas = &details.as_ref().unwrap()["replicas"];
    assert_eq!((&replicas[0]["slot"], &replicas[0]["node_id"]), (&1.into(), &"node-2".into()));
    assert_eq!(replicas[0]["port"], 20_001);
    assert!(replicas[0]["container_id"].is_string(), "{replicas}");
    let told = &world.bus.records(common::topic::Topic::FirstTopic)[0];
    let header: Value = serde_json::from_slice(told.record.header("details").unwrap()).unwrap();
    assert_eq!(Some(header), details);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_takes_too_much_memory() {
    let told =
        failing(&scripted(Probe::Exited { code: 137, out_of_memory: true, crash_loop: false }))
            .await;
    assert_eq!(
        told,
        "App shop not deployed. Error - OOM_KILLED: it took more memory than its limit of 64 MiB"
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_that_listens_elsewhere_is_told_where() {
    let listening = vec!["127.0.0.1:5000".to_owned()];
    let told = failing(&scripted(Probe::NotListening { listening })).await;
    assert_eq!(
        told,
        "App shop not deployed. Error - HEALTH_TIMEOUT: nothing listens on 8080 (found 127.0.0.1:5000)"
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_slow_has_its_time() {
    let world = World::new();
    let quiet = || Probe::NotListening { listening: Vec::new() };
    let slow = std::iter::repeat_with(quiet).take(300).chain([Probe::Healthy]);
    world.nodes.script_probes(&image(2), slow);
    world.live(world.deployed(1, "shop")).await;
    world.assert_exact("shop", 1, "deployed");
}

#[tokio::test(start_paused = true)]
async fn no_node_has_room() {
    let world = World::new();
    world.set_placement(Placement::Full);
    let told = failing(&world).await;
    let text =
        "App shop not deployed. Error - NO_NODE_FITS: no live node has room for one more replica";
    assert_eq!(told, text);
}

#[tokio::test(start_paused = true)]
async fn no_disk_has_room_and_the_node_managers_words_say_how_much_is_missing() {
    let world = World::new();
    world.set_placement(Placement::FullDisks);
    let text = "App shop not deployed. Error - INSUFFICIENT_STORAGE: ";
    let silent = failing(&world).await;
    assert_eq!(silent, format!("{text}no live node has room for it on its disk"));

    let world = World::new();
    world.set_placement(Placement::FullDisks);
    let request = RequestId(Uuid::from_u128(1));
    let again = (1..9).map(|n| request.derive(&format!("slot-1-generation-1-attempt-{n}")));
    for asked in again.chain([request]) {
        let path = path::operation(asked, ServiceName::NodeManager, "give-best-node");
        let failure = json!({ "code": "INSUFFICIENT_STORAGE", "message": "9 MiB are needed" });
        let outcome = json!({ "is": "FAILED", "failure": failure });
        let record = json!({
            "schema": 1, "fingerprint": "", "accepted_at": "2026-01-01T00:00:00Z", "outcome": outcome,
        });
        world.write(&path, &record);
    }
    assert_eq!(failing(&world).await, format!("{text}9 MiB are needed"));
    assert_eq!(world.bus.messages(Topic::LifecycleManager), [], "no machine is asked for");
}

#[tokio::test(start_paused = true)]
async fn where_no_node_has_room_one_machine_is_asked_for_in_a_while() {
    let world = World::new();
    world.set_placement(Placement::Full);
    world.write_instance("shop-2", 2, 1);
    let asked = || world.bus.messages(Topic::LifecycleManager);
    world
        .live(async {
            for (request, instance) in [(1, "shop"), (2, "shop-2"), (3, "shop")] {
                world.deploy(request, instance);
                world.told(request).await;
            }
        })
        .await;
    let first = asked();
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!(first[0].msg, "need node$no live node has room for one more replica");
    // Who comes after a crash does not know that it was asked for, and asks the same.
    world
        .live(async {
            world.deploy(4, "shop");
            world.told(4).await;
        })
        .await;
    assert!(asked().iter().all(|again| *again == first[0]), "{:?}", asked());
    world.clock.advance(jiff::SignedDuration::from_mins(5));
    world
        .live(async {
            world.deploy(5, "shop");
            world.told(5).await;
        })
        .await;
    let ids: BTreeSet<_> = asked().into_iter().map(|envelope| envelope.request_id).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_had_is_waited_for_and_then_given_up() {
    let world = World::new();
    world.nodes.withdraw_image(&image(2));
    let began = tokio::time::Instant::now();
    let told = failing(&world).await;
    assert!(told.starts_with("App shop not deployed. Error - IMAGE_UNAVAILABLE: "), "{told}");
    assert!((30..45).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

/// Somebody has these ports of every node.
fn occupy(world: &World, ports: RangeInclusive<u16>) {
    for port in ports {
        for name in ["node-1", "node-2"] {
            world.nodes.engine(&node(name)).occupy_port(port);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ports_that_are_taken_one_after_the_other_are_passed_by() {
    let world = World::new();
    occupy(&world, 20_001..=20_008);
    world.live(world.deployed(1, "shop")).await;
    world.assert_exact("shop", 1, "deployed");
    assert_eq!(world.slots("shop")[0].place.as_ref().unwrap().host_port, 20_009);
}

#[tokio::test(start_paused = true)]
async fn of_more_taken_ports_one_is_the_end() {
    let world = World::new();
    occupy(&world, 20_001..=20_009);
    let told = failing(&world).await;
    assert!(told.contains("PORT_TAKEN"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_reached_is_a_reason_to_ask_for_another() {
    let world = World::new();
    world.nodes.set_reach(&node("node-2"), Reach::Hung).await;
    world.live(world.deployed(1, "shop")).await;
    world.assert_exact("shop", 1, "deployed");
    assert_eq!(world.slots("shop")[0].place.as_ref().unwrap().node, node("node-1"));
}

#[tokio::test(start_paused = true)]
async fn what_a_node_made_without_saying_so_is_swept() {
    let world = World::new();
    world.nodes.lose_answers(&node("node-2"), 1000);
    world
        .live(async {
            world.deploy(1, "shop");
            until("it is made", || world.containers().len() == 1).await;
            world.nodes.set_reach(&node("node-2"), Reach::Partitioned).await;
            world.told(1).await;
            world.settled("shop").await;
            assert_eq!(world.containers().len(), 2);
            world.nodes.lose_answers(&node("node-2"), 0);
            world.nodes.set_reach(&node("node-2"), Reach::Up).await;
            until("it is swept", || world.containers().len() == 1).await;
        })
        .await;
    world.assert_exact("shop", 1, "deployed");
    assert_eq!(world.slots("shop")[0].number.0, 1, "the same number on another node");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told() {
    let world = World::new();
    for name in ["node-1", "node-2"] {
        world.nodes.engine(&node(name)).set_health(testkit::containers::Health::Full);
    }
    let told = failing(&world).await;
    assert!(told.contains("INSUFFICIENT_STORAGE"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_refuses_is_told() {
    let world = World::new();
    let failure = Failure::new(FailureCode::FrontPortsExhausted, "all front ports are in use");
    world.routes.set_health(Health::Fails(failure));
    let told = world
        .live(async {
            world.deploy(1, "shop");
            let told = world.told(1).await;
            // What was not unmade in time is unmade afterwards.
            world.routes.set_health(Health::Answers);
            world.settled("shop").await;
            told
        })
        .await;
    let text = "App shop not deployed. Error - FRONT_PORTS_EXHAUSTED: all front ports are in use";
    assert_eq!(told, text);
    world.assert_exact("shop", 0, "failed");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_in_progress_past_its_deadline() {
    let mut world = World::new();
    world.config.patience.deploy = jiff::SignedDuration::from_secs(300);
    world.set_placement(Placement::Silent);
    let began = tokio::time::Instant::now();
    let told = failing(&world).await;
    let text = "App shop not deployed. Error - DEADLINE_EXCEEDED: it was not done by its deadline";
    assert_eq!(told, text);
    let elapsed = began.elapsed().as_secs();
    assert!((300..305).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_that_is_away_is_waited_for() {
    let world = World::new();
    world.routes.set_health(Health::Down);
    world
        .live(async {
            world.deploy(1, "shop");
            until("it stands in the way", || {
                let failure = world.deployment("shop").and_then(|shop| shop.failure);
                failure.is_some_and(|failure| failure.code == FailureCode::RouteFailed)
            })
            .await;
            world.routes.set_health(Health::Answers);
            assert_eq!(world.told(1).await, "done shop deploy - 192.0.2.10:2000");
            world.settled("shop").await;
        })
        .await;
    assert_eq!(world.deployment("shop").unwrap().failure, None);
}
