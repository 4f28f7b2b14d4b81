//! Nodes that die and come back, containers that nobody wants or that are missing, builds.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use bytes::Bytes;
use common::id::{Epoch, Generation, SlotNumber};
use common::message::DeploymentCommand;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::{Agent, Issuer, Probe};
use common::port::store::Op;
use common::port::{Blobs as _, Nodes as _, Store as _};
use common::record::node::Verdict;
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::json;
use testkit::blobs::Health;
use testkit::containers;
use testkit::nodes::Reach;

use crate::world::{World, image, name, node, until};

fn other(home: &str) -> &'static str {
    if home == "node-1" { "node-2" } else { "node-1" }
}

#[tokio::test(start_paused = true)]
async fn a_dead_nodes_replica_is_replaced_and_swept_when_the_node_returns() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let home = world.slots("shop")[0].place.clone().unwrap().node;
            world.nodes.set_reach(&home, Reach::Dead).await;
            world.set_verdict(home.as_str(), Verdict::Suspect);
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(world.slots("shop").len(), 1, "a suspect node keeps what it has");
            let began = tokio::time::Instant::now();
            world.set_verdict(home.as_str(), Verdict::Dead);
            let away = node(other(home.as_str()));
            until("it is replaced", || {
                let slots = world.slots("shop");
                slots.len() == 1 && slots[0].place.as_ref().is_some_and(|place| place.node == away)
            })
            .await;
            assert!(began.elapsed().as_secs() < 5);
            world.settled("shop").await;
            world.nodes.set_reach(&home, Reach::Up).await;
            world.set_verdict(home.as_str(), Verdict::Live);
            until("it is swept", || world.containers().len() == 1).await;
        })
        .await;
    world.assert_exact("shop", 1, "replaced");
    assert_eq!(world.deployment("shop").unwrap().generation.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_missing_is_made_again() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            // The first sweep must have seen it.
            tokio::time::sleep(Duration::from_secs(6)).await;
            let (home, container) = world.containers().remove(0);
            let engine = world.nodes.engine(&home);
            common::port::Containers::ensure_absent(&engine, &container).await.unwrap();
            let began = tokio::time::Instant::now();
            until("it is there again", || world.containers().len() == 1).await;
            assert!(began.elapsed().as_secs() <= 10, "{:?}", began.elapsed());
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 1, "restored");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_wants_is_swept_and_what_is_not_ours_to_judge_stays() {
    let world = World::new();
    let agent: Agent = serde_json::from_value(json!({
        "node": "node-1", "address": "192.0.2.1:7443",
    }))
    .unwrap();
    let spec = ContainerSpec {
        instance: "ghost".parse().unwrap(),
        slot: SlotNumber(1),
        generation: Generation(4),
        image: image(1),
        container_port: 8080,
        host_port: 25000,
        environment: std::collections::BTreeMap::new(),
        limits: Limits::default(),
        read_only: false,
        files: Vec::new(),
        health_path: None,
    };
    let stale = Issuer { service: ServiceName::DeploymentManager, epoch: Epoch(0) };
    for (slot, host_port) in [(1, 25_000), (2, 25_001), (3, 25_002)] {
        let spec = ContainerSpec { slot: SlotNumber(slot), host_port, ..spec.clone() };
        world.nodes.ensure(&agent, stale, &spec).await.unwrap();
    }
    *world.stuck.lock().unwrap() = Some(spec.name());
    world
        .live(async {
            world.deployed(1, "shop").await;
            until("only the ghost that is stuck is left", || world.containers().len() == 2).await;
            *world.stuck.lock().unwrap() = None;
            until("the ghosts are gone", || world.containers().len() == 1).await;
        })
        .await;
    world.assert_exact("shop", 1, "swept");
}

#[tokio::test(start_paused = true)]
async fn document_001s_registry_says_who_is_served_whatever_others_write() {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    let at = |entry: &str| path::registry_app(&name("shop")).join(entry).unwrap();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let said = world.registry("shop");
            assert_eq!(said.len(), 2);
            for entry in ["instance1", "instance2"] {
                let version = world.store.get(&at(entry)).await.unwrap().unwrap().version;
                let gone = Op::Delete { path: at(entry), version };
                world.store.commit(vec![gone]).await.unwrap();
            }
            world.store.seed(&at("instance2"), Bytes::from_static(b"192.0.2.99:1"));
            world.store.seed(&at("instance7"), Bytes::from_static(b"192.0.2.99:2"));
            until("it says so again", || world.registry("shop") == said).await;
            let updated_at = world.deployment("shop").unwrap().updated_at;
            tokio::time::sleep(Duration::from_mins(5)).await;
            assert_eq!(world.deployment("shop").unwrap().updated_at, updated_at, "it is at rest");

            world.store.seed(&at("notes"), Bytes::from_static(b"of somebody else"));
            world.stop(2, "shop");
            assert_eq!(world.told(2).await, "done stopped$shop");
        })
        .await;
    assert_eq!(world.registry("shop"), [("notes".to_owned(), "of somebody else".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_again_and_again_is_replaced_once_and_then_reported() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let exited = Probe::Exited { code: 1, out_of_memory: false, crash_loop: true };
            world.crash_loops.lock().unwrap().replace(exited);
            for round in 0..2 {
                tokio::time::sleep(Duration::from_mins(1)).await;
                let slots = world.slots("shop");
                assert_eq!(slots.len(), 1, "{slots:?}");
                let (home, container) = world.containers().remove(0);
                world.nodes.engine(&home).exit(&container, 1);
                if round == 0 {
                    until("it is replaced", || world.slots("shop")[0].number != slots[0].number)
                        .await;
                }
            }
            let number = world.slots("shop")[0].number;
            tokio::time::sleep(Duration::from_mins(2)).await;
            assert_eq!(world.slots("shop")[0].number, number, "it is replaced once");
        })
        .await;
    let failure = world.deployment("shop").unwrap().failure.unwrap();
    assert_eq!(failure.code, common::failure::FailureCode::CrashLoop);
}

#[tokio::test(start_paused = true)]
async fn a_second_leader_ends_the_first() {
    let world = World::new();
    let service = deployment_manager::DeploymentManager::new(world.ports(), world.config.clone());
    let lifecycle = chassis::lifecycle::Lifecycle::new();
    let first = chassis::service::Service::run(&service, lifecycle);
    let second = async {
        until("the first leads", || world.nodes.calls().len() >= 2).await;
        world.live(world.deployed(1, "shop")).await;
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        biased;
        ended = first => ended,
        () = second => unreachable!("it waits for the first to end"),
    };
    assert_eq!(ended.unwrap_err().to_string(), "another deployment manager leads");
}

fn bundle() -> Bytes {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in [("shop/main.py", "print('hi')"), ("shop/requirements.txt", "flask\n")] {
        zip.start_file(path, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    Bytes::from(zip.finish().unwrap().into_inner())
}

async fn with_bundle(command: &[&str]) -> World {
    let world = World::new();
    write_bundle(&world, "shop", 2, command).await;
    world
}

async fn write_bundle(world: &World, app: &str, release: u32, command: &[&str]) {
    let digest = world.blobs.put(bundle()).await.unwrap();
    let runtime = json!({ "is": "python", "dependencies": "requirements" });
    let plan = json!({ "runtime": runtime, "root": "shop", "command": command });
    let source = json!({ "kind": "bundle", "bundle": digest, "plan": plan });
    world.write_release(app, release, &source);
}

#[tokio::test(start_paused = true)]
async fn a_release_is_built_once_for_all_its_instances() {
    let world = with_bundle(&["gunicorn", "--bind=0.0.0.0:$PORT", "main:app"]).await;
    let second = "shop_6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    world.write_instance(second, 2, 1);
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.send(2, &DeploymentCommand::Deploy { instance: name(second) });
            world.told(2).await;
        })
        .await;
    let builds = world.builds.lock().unwrap();
    assert_eq!(builds.len(), 1);
    let (repository, context) = &builds[0];
    assert_eq!(repository, "apps/shop");
    let left = std::fs::read_dir(&world.config.build_folder).unwrap().count();
    assert_eq!(left, 0, "nothing is left of a build");
    let text = String::from_utf8_lossy(context);
    assert!(text.contains("CMD [\"gunicorn\", \"--bind=0.0.0.0:8080\", \"main:app\"]"), "{text}");
    assert!(text.contains("app/main.py"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_build_that_never_ends() {
    let world = with_bundle(&["python3", "main.py"]).await;
    for name in ["node-1", "node-2"] {
        world.nodes.engine(&node(name)).set_health(containers::Health::Silent);
    }
    world
        .live(async {
            world.deploy(1, "shop");
            until("it is building", || !world.builds.lock().unwrap().is_empty()).await;
            let began = tokio::time::Instant::now();
            world.stop(2, "shop");
            world.bus.wait_until_consumed(Topic::DeploymentManager, "deployment-manager").await;
            for name in ["node-1", "node-2"] {
                world.nodes.engine(&node(name)).set_health(containers::Health::Answers);
            }
            assert_eq!(world.told(2).await, "done stopped$shop");
            assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn builds_that_wait_for_their_turn_hold_up_no_other_app() {
    let mut world = with_bundle(&["python3", "main.py"]).await;
    world.config.at_once = 3;
    for app in ["blog", "wiki", "mail"] {
        world.write_app(app, 1);
        write_bundle(&world, app, 1, &["python3", "main.py"]).await;
    }
    world.write_app("news", 1);
    world.write_release("news", 1, &json!({ "kind": "image", "image": image(1) }));
    let set_health = |health: containers::Health| {
        for name in ["node-1", "node-2"] {
            world.nodes.engine(&node(name)).set_health(health);
        }
    };
    world
        .live(async {
            set_health(containers::Health::Silent);
            world.deploy(1, "shop");
            until("it is building", || !world.builds.lock().unwrap().is_empty()).await;
            set_health(containers::Health::Answers);
            for (request, app) in [(2, "blog"), (3, "wiki"), (4, "mail")] {
                world.deploy(request, app);
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            let began = tokio::time::Instant::now();
            world.deploy(5, "news");
            assert!(world.told(5).await.starts_with("done news deploy"));
            assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
            assert_eq!(world.builds.lock().unwrap().len(), 1, "one is built at a time");
            world.stop(6, "shop");
            for request in 2..=4 {
                assert!(world.told(request).await.starts_with("done "));
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_gone_is_told() {
    let world = with_bundle(&["python3", "main.py"]).await;
    let digest = common::digest::Digest::of(&bundle());
    world.blobs.delete(&digest).await.unwrap();
    world
        .live(async {
            world.deploy(1, "shop");
            assert!(world.told(1).await.contains("BUNDLE_UNAVAILABLE: there is no blob"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_blob_store_that_is_away_is_waited_for() {
    let world = with_bundle(&["python3", "main.py"]).await;
    world.blobs.set_health(Health::Down);
    world
        .live(async {
            world.deploy(1, "shop");
            tokio::time::sleep(Duration::from_secs(30)).await;
            world.blobs.set_health(Health::Answers);
            assert_eq!(world.told(1).await, "done shop deploy - 192.0.2.10:2000");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_command_with_an_unknown_variable_is_told() {
    let world = with_bundle(&["python3", "$NOPE"]).await;
    world
        .live(async {
            world.deploy(1, "shop");
            let text = "App shop not deployed. Error - BUILD_FAILED: the command names $NOPE, which the release's environment does not have";
            assert_eq!(world.told(1).await, text);
        })
        .await;
}
