//! Builds: once per release, one at a time, and what stands in their way.

use std::io::{Cursor, Write as _};
use std::time::Duration;

use bytes::Bytes;
use common::message::DeploymentCommand;
use common::port::{Blobs as _, Containers as _};
use common::topic::Topic;
use deployment_manager::Patience;
use serde_json::json;
use testkit::blobs::Health;
use testkit::containers;

use crate::world::{World, image, name, node, until};

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

pub(crate) async fn write_bundle(world: &World, app: &str, release: u32, command: &[&str]) {
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
async fn what_was_built_and_is_no_longer_anywhere_is_built_again() {
    let world = with_bundle(&["python3", "main.py"]).await;
    let builds = || world.builds.lock().unwrap().len();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let image = world.deployment("shop").unwrap().image.unwrap();
            world.stop(2, "shop");
            world.told(2).await;
            world.nodes.withdraw_image(&image);
            for node in ["node-1", "node-2"].map(node) {
                world.nodes.engine(&node).remove_image(image.digest()).await.unwrap();
            }
            world.clock.advance(Patience::default().tombstone);
            world.deployed(3, "shop").await;
            assert_eq!(builds(), 2);
            world.stop(4, "shop");
            world.told(4).await;
            world.deployed(5, "shop").await;
            assert_eq!(builds(), 2, "it is believed again");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_lost_and_another_node_has_runs_there_and_is_not_built_again() {
    let world = with_bundle(&["python3", "main.py"]).await;
    world.live(world.deployed(1, "shop")).await;
    let home = world.slots("shop")[0].place.clone().unwrap().node;
    let image = world.deployment("shop").unwrap().image.unwrap();
    world.nodes.withdraw_image(&image);
    for other in ["node-1", "node-2"].map(node).into_iter().filter(|node| *node != home) {
        world.nodes.engine(&other).remove_image(image.digest()).await.unwrap();
    }
    world.live(world.deployed(2, "shop")).await;
    let slots = world.slots("shop");
    assert_eq!((slots[0].attempt, &slots[0].place.as_ref().unwrap().node), (1, &home));
    assert_eq!(slots[0].generation.0, 2);
    assert_eq!(world.builds.lock().unwrap().len(), 1);
    world.assert_exact("shop", 1, "deployed again");
}

#[tokio::test(start_paused = true)]
async fn what_is_served_is_placed_anew_and_not_built_again_where_its_image_cannot_be_had() {
    let world = with_bundle(&["python3", "main.py"]).await;
    world.live(world.deployed(1, "shop")).await;
    world.live(world.deployed(2, "shop")).await;
    let image = world.deployment("shop").unwrap().image.unwrap();
    let home = world.slots("shop")[0].place.clone().unwrap().node;
    world.nodes.withdraw_image(&image);
    for node in ["node-1", "node-2"].map(node).into_iter().filter(|node| *node != home) {
        world.nodes.engine(&node).remove_image(image.digest()).await.unwrap();
    }
    world.scale("shop", 3);
    let anew = || world.slots("shop").iter().any(|slot| slot.attempt > 0);
    // Counted in polls: who never rests has no time.
    let rests = world.live_for(20_000, until("another place is asked for", anew)).await;
    assert!(rests, "it tries without end");
    world.live(world.deployed(3, "shop")).await;
    assert_eq!(world.builds.lock().unwrap().len(), 1, "what was built is believed in");
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
