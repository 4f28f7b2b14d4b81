//! Requests for a node, and their answers.

mod deployed;

use common::digest::{Digest, ImageRef};
use common::failure::FailureCode;
use common::message::header;
use common::port::container::Limits;
use common::port::nodes::NodeUse;
use common::record::node::Verdict;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::json;
use testkit::nodes::Reach;

use crate::disks::disk;
use crate::world::{World, id, instance, name, until};

const GIB: u64 = 1024 * 1024 * 1024;

fn operation(world: &World, request: u128) -> Operation {
    let at = path::operation(id(request), ServiceName::NodeManager, "give-best-node");
    world.read(&at).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_with_the_best_node_and_a_leased_port() {
    let world = World::with_nodes(2);
    let busy = NodeUse { cpu_percent: 80.0, ..measured() };
    world.nodes.set_use(&name("node-1"), busy);
    world
        .during(async {
            world.ask(1, "shop").await;
            let choice = world.choice(1).await;
            assert_eq!((choice.name.as_str(), choice.port), ("node-2", 20_000));
            let leases = world.leases(&name("node-2"));
            assert_eq!(leases.len(), 1);
            assert_eq!((leases[0].0, &leases[0].1.instance), (20_000, &instance("shop")));
            assert_eq!(leases[0].1.request, id(1));
            let record = &world.bus.records(Topic::DeploymentManager)[0].record;
            assert_eq!(record.key.as_deref(), Some("shop"));
            assert!(record.header(header::MESSAGE_ID).is_some());
            let expected = "{\"to_topic\":\"DeploymentManager\",\"from_topic\":\"NodeManager\",\
            \"request_id\":\"00000000-0000-0000-0000-000000000001\",\"msg\":\"ans-node${\
            'node_id': 'node-2', 'node_name': 'node-2', 'node_ip': '192.0.2.2', \
            'node_os': 'Debian 13', 'port': 20000, 'app_name': 'shop'}\"}";
            assert_eq!(std::str::from_utf8(&record.payload).unwrap(), expected);
        })
        .await;
    let Some(Outcome::Succeeded { details: Some(details) }) = operation(&world, 1).outcome else {
        panic!("the request has succeeded");
    };
    assert_eq!((&details["node_name"], &details["port"]), (&"node-2".into(), &20_000.into()));
}

fn measured() -> NodeUse {
    NodeUse {
        cpu_percent: 5.0,
        memory_percent: 10.0,
        disk_percent: 10.0,
        memory_total_bytes: 8 * GIB,
        cpu_millis_total: 4000,
        memory_promised_bytes: 0,
        cpu_millis_promised: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_gets_the_same_answer_under_the_same_message_id() {
    let world = World::with_nodes(2);
    let first = world
        .during(async {
            world.ask(1, "shop").await;
            world.ask(1, "shop").await;
            let first = world.choice(1).await;
            world.ask(2, "shop").await;
            world.choice(2).await;
            first
        })
        .await;
    let told = world.answers().len();
    world
        .during(async {
            world.ask(1, "shop").await;
            until(async || world.answers().len() > told).await;
        })
        .await;
    let mut ids = Vec::new();
    for record in world.bus.records(Topic::DeploymentManager) {
        ids.push(record.record.header(header::MESSAGE_ID).unwrap().to_vec());
    }
    for (number, (request, answer)) in world.answers().into_iter().enumerate() {
        if request == id(1) {
            assert_eq!(answer.node.unwrap(), first);
            assert_eq!(ids[number], ids[0]);
        }
    }
    let leased: usize =
        ["node-1", "node-2"].map(|node| world.leases(&name(node)).len()).iter().sum();
    assert_eq!(leased, 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_id_is_not_taken_for_another_instance() {
    let world = World::with_nodes(1);
    world
        .during(async {
            world.ask(1, "shop").await;
            world.choice(1).await;
            world.ask(1, "blog").await;
            world.say(2, "give worst node$shop".to_owned()).await;
            let dead = || world.bus.records(Topic::NodeManager.dead_letter());
            until(async || dead().len() == 2).await;
            for (letter, reason) in dead().iter().zip(["MSG_ID_CONFLICT", "MSG_UNKNOWN_KIND"]) {
                let said = letter.record.header(header::REASON).unwrap();
                assert!(std::str::from_utf8(said).unwrap().starts_with(reason));
            }
        })
        .await;
    assert_eq!(world.answers().len(), 1);
    assert_eq!(world.leases(&name("node-1")).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn replicas_asked_for_at_once_are_spread_and_get_ports_of_their_own() {
    let world = World::with_nodes(3);
    world
        .during(async {
            for request in 1..=9 {
                world.ask(request, "shop").await;
            }
            for request in 1..=9 {
                world.choice(request).await;
            }
        })
        .await;
    for node in ["node-1", "node-2", "node-3"] {
        let ports: Vec<u16> = world.leases(&name(node)).iter().map(|(port, _)| *port).collect();
        assert_eq!(ports, [20_000, 20_001, 20_002], "{node}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_promised_a_moment_ago_is_not_promised_again() {
    let world = World::with_nodes(1);
    let limits = Limits { memory_bytes: 3 * GIB, cpu_millis: 100, processes: 10 };
    world.release("shop", 1, limits);
    world
        .during(async {
            for request in 1..=3 {
                world.ask(request, "shop").await;
            }
            world.choice(1).await;
            world.choice(2).await;
            assert_eq!(world.answer(3).await.node, Err(FailureCode::NoNodeFits));
        })
        .await;
    let Some(Outcome::Failed { failure, .. }) = operation(&world, 3).outcome else {
        panic!("the request has failed");
    };
    assert!(failure.message.contains("1 without enough memory"), "{}", failure.message);
}

#[tokio::test(start_paused = true)]
async fn what_fits_on_no_disk_is_refused_and_told_what_a_collection_would_free() {
    let world = World::with_nodes(1);
    world.nodes.set_disk(&name("node-1"), disk(100));
    let image = ImageRef::new("apps/shop", Digest::of(b"id")).unwrap();
    let deployed = |image: Option<&ImageRef>| {
        let record = json!({
            "schema": 1, "instance": "shop", "app": "shop", "release": 1, "generation": 1,
            "goal": "running", "state": "placing", "request": id(0), "image": image, "slots": [],
            "deadline": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        world.write(&path::deployment(&instance("shop")), &record);
    };
    deployed(None);
    world
        .during(async {
            world.until_verdict(&name("node-1"), Verdict::Live).await;
            world.ask(1, "shop").await;
            assert_eq!(world.answer(1).await.node, Err(FailureCode::InsufficientStorage));
            // Where the image is already, nothing more is needed.
            deployed(Some(&image));
            world.ask(2, "shop").await;
            assert!(world.answer(2).await.node.is_ok());
        })
        .await;
    let Some(Outcome::Failed { failure, .. }) = operation(&world, 1).outcome else {
        panic!("the request has failed");
    };
    let told = "257 MiB are needed, 0 MiB are free there, and a collection would free 0 MiB";
    assert!(failure.message.contains(told), "{}", failure.message);
}

#[tokio::test(start_paused = true)]
async fn a_replica_of_what_is_served_needs_no_room_for_what_is_on_its_way() {
    let world = World::with_nodes(1);
    world.nodes.set_disk(&name("node-1"), disk(100));
    let image = ImageRef::new("apps/shop", Digest::of(b"id")).unwrap();
    let slot = |number: u32, generation: u32| {
        json!({
            "number": number, "generation": generation, "placement_request": id(number.into()),
            "state": "asked", "since": "2026-01-01T00:00:00Z",
        })
    };
    let record = json!({
        "schema": 1, "instance": "shop", "app": "shop", "release": 1, "generation": 2,
        "goal": "running", "state": "placing", "request": id(0),
        "serving": { "generation": 1, "release": 1, "image": image },
        "slots": [slot(1, 1), slot(2, 2)],
        "deadline": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    });
    world.write(&path::deployment(&instance("shop")), &record);
    world
        .during(async {
            world.until_verdict(&name("node-1"), Verdict::Live).await;
            world.ask(2, "shop").await;
            assert_eq!(world.answer(2).await.node, Err(FailureCode::InsufficientStorage));
            world.ask(1, "shop").await;
            assert!(world.answer(1).await.node.is_ok());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_before_any_sample_waits_for_them() {
    let world = World::with_nodes(1);
    world.nodes.set_reach(&name("node-1"), Reach::Partitioned).await;
    world.ask(1, "shop").await;
    world
        .during(async {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            assert!(world.answers().is_empty());
            world.nodes.set_reach(&name("node-1"), Reach::Up).await;
            assert_eq!(world.choice(1).await.name, name("node-1"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_any_live_node_the_request_fails_for_a_reason() {
    let world = World::with_nodes(1);
    world.nodes.set_reach(&name("node-1"), Reach::Dead).await;
    world.ask(1, "shop").await;
    world
        .during(async {
            let answer = world.answer(1).await;
            assert_eq!(answer.node, Err(FailureCode::NoNodeFits));
            world.nodes.set_reach(&name("node-1"), Reach::Up).await;
            world.until_verdict(&name("node-1"), Verdict::Live).await;
            // The same request keeps its answer; another one gets a node.
            world.ask(1, "shop").await;
            until(async || world.answers().len() == 2).await;
            assert_eq!(world.answers()[1].1, answer);
            world.ask(2, "shop").await;
            world.choice(2).await;
        })
        .await;
    assert_eq!(world.leases(&name("node-1")).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_platform_without_nodes_says_so_at_once() {
    let world = World::with_nodes(0);
    world.ask(1, "shop").await;
    let answer = world.during(world.answer(1)).await;
    assert_eq!(answer.node, Err(FailureCode::NoNodeFits));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_free_port_is_told_as_such() {
    let mut world = World::with_nodes(1);
    world.config.last_port = world.config.first_port;
    world
        .during(async {
            world.ask(1, "shop").await;
            world.choice(1).await;
            world.ask(2, "shop").await;
            assert_eq!(world.answer(2).await.node, Err(FailureCode::PortsExhausted));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn for_what_nobody_deploys_there_is_no_node() {
    let world = World::with_nodes(1);
    world
        .during(async {
            world.ask(1, "garbage").await;
            assert_eq!(world.answer(1).await.node, Err(FailureCode::UnknownInstance));
        })
        .await;
    assert_eq!(world.leases(&name("node-1")), []);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_wants_one_node_gets_it_until_that_is_full() {
    let world = World::with_nodes(2);
    for node in ["node-1", "node-2"] {
        world.nodes.set_use(&name(node), measured());
    }
    let limits = Limits { memory_bytes: 3 * GIB, cpu_millis: 100, processes: 10 };
    world.release("shop", 1, limits);
    world.set_placement("shop", 1, "same-node");
    world
        .during(async {
            let mut shop = Vec::new();
            for request in 1..=3 {
                world.ask(request, "shop").await;
                shop.push(world.choice(request).await.name.to_string());
            }
            assert_eq!(shop[0], shop[1]);
            assert_ne!(shop[1], shop[2], "two of them fill a node");
        })
        .await;
}
