//! Going back to a release that was in service.

use common::digest::ImageRef;
use common::failure::FailureCode;
use common::name::NodeName;
use common::record::deployment::{Deployment, State};
use common::record::kept::Way;
use common::record::node::Verdict;

use crate::builds::write_bundle;
use crate::world::{World, image, name, node, until};

async fn in_service(world: &World, request: u128, release: u32, replicas: u32) -> Deployment {
    world.write_instance("shop", release, replicas);
    world.deployed(request, "shop").await;
    world.deployment("shop").unwrap()
}

fn serves(deployment: &Deployment) -> (u32, ImageRef) {
    let serving = deployment.serving.clone().unwrap();
    (serving.release.0, serving.image)
}

/// Where its replicas are.
fn placed(world: &World) -> Vec<NodeName> {
    let places = world.slots("shop").into_iter().filter_map(|slot| slot.place);
    places.map(|place| place.node).collect()
}

#[tokio::test(start_paused = true)]
async fn the_image_of_then_runs_again_without_a_build_and_without_the_registry() {
    let mut world = World::new();
    for release in 1..=2 {
        write_bundle(&world, "shop", release, &["python3", &format!("main-{release}.py")]).await;
    }
    let images = world
        .live(async {
            let first = serves(&in_service(&world, 1, 1, 2).await);
            let second = serves(&in_service(&world, 2, 2, 2).await);
            assert_eq!((first.0, second.0), (1, 2));
            assert_ne!(first.1, second.1);
            [first.1, second.1]
        })
        .await;
    assert_eq!(world.builds.lock().unwrap().len(), 2);
    // A platform that builds otherwise by now, and whose registry has lost what it had.
    world.config.images.python = "registry.example.org/runtime-python:newer".to_owned();
    for image in &images {
        world.nodes.withdraw_image(image);
    }
    world
        .live(async {
            world.write_rollback("shop", 1, 3);
            world.deployed(3, "shop").await;
        })
        .await;
    let told: Vec<String> = world.ends(3).into_iter().map(|(_, text)| text).collect();
    assert_eq!(told, ["done shop deploy - 192.0.2.10:2000"]);
    world.assert_exact("shop", 2, "rolled back");
    assert_eq!(world.builds.lock().unwrap().len(), 2, "nothing was built");
    let deployment = world.deployment("shop").unwrap();
    assert_eq!(serves(&deployment), (1, images[0].clone()));
    assert_eq!(world.routes.wanted(&name("shop")).unwrap().image, images[0].to_string());
}

#[tokio::test(start_paused = true)]
async fn the_record_says_what_was_in_service_and_who_asked() {
    let mut world = World::new();
    world.config.kept_releases = 2;
    let kept = |world: &World| -> Vec<(u32, Option<String>, bool)> {
        let kept = world.deployment("shop").unwrap().releases.into_iter();
        kept.map(|one| {
            let by = one.by.map(|by| by.to_string());
            (one.number.0, by, one.rolled_back_at.is_some())
        })
        .collect()
    };
    world.write_app("shop", 3);
    world.nodes.offer_image(&image(3));
    let source = serde_json::json!({ "kind": "image", "image": image(3) });
    world.write_release("shop", 3, &source);
    world
        .live(async {
            for release in 1..=3 {
                in_service(&world, release.into(), release, 2).await;
            }
            assert_eq!(
                kept(&world),
                [(2, None, false), (3, None, false)],
                "the oldest is forgotten"
            );
            world.write_rollback("shop", 2, 4);
            world.deployed(4, "shop").await;
        })
        .await;
    let bob = Some("bob".to_owned());
    assert_eq!(kept(&world), [(3, None, true), (2, bob, false)]);
    let deployment = world.deployment("shop").unwrap();
    assert_eq!(deployment.origin.way, Way::RolledBack);
    let images: Vec<&ImageRef> = deployment.images().collect();
    assert!(images.contains(&&image(2)) && images.contains(&&image(3)), "{images:?}");
    assert!(!images.contains(&&image(1)));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_whose_image_is_gone_fails_with_its_code_and_what_is_served_goes_on() {
    let world = World::new();
    world
        .live(async {
            in_service(&world, 1, 1, 1).await;
            in_service(&world, 2, 2, 1).await;
            // Release 1 ran on the other node, which gets nothing new.
            world.set_verdict("node-2", Verdict::Draining);
            world.nodes.withdraw_image(&image(1));
            world.write_rollback("shop", 1, 3);
            world.scale("shop", 1);
            world.deployed(3, "shop").await;
        })
        .await;
    let told: Vec<String> = world.ends(3).into_iter().map(|(_, text)| text).collect();
    assert!(told[0].contains("Error - IMAGE_UNAVAILABLE"), "{told:?}");
    let deployment = world.deployment("shop").unwrap();
    assert_eq!(deployment.state, State::Failed);
    assert_eq!(deployment.failure.as_ref().unwrap().code, FailureCode::ImageUnavailable);
    assert_eq!(serves(&deployment), (2, image(2)));
    let last = deployment.releases.last().unwrap();
    assert_eq!((last.number.0, last.rolled_back_at), (2, None), "it was not left");
    world.assert_exact("shop", 1, "failed");
}

#[tokio::test(start_paused = true)]
async fn an_image_is_looked_for_on_the_one_node_that_lives_beside_its_own() {
    let world = World::new();
    world
        .live(async {
            in_service(&world, 1, 1, 1).await;
            assert_eq!(placed(&world), [node("node-2")]);
            in_service(&world, 2, 2, 1).await;
            world.nodes.withdraw_image(&image(1));
            world.set_verdict("node-2", Verdict::Suspect);
            world.write_rollback("shop", 1, 3);
            world.scale("shop", 1);
            world.deploy(3, "shop");
            until("it is placed", || placed(&world) == ["node-1", "node-1"].map(node)).await;
            world.set_verdict("node-2", Verdict::Live);
            world.set_verdict("node-1", Verdict::Suspect);
            assert_eq!(world.told(3).await, "done shop deploy - 192.0.2.10:2000");
            world.settled("shop").await;
        })
        .await;
    assert_eq!(serves(&world.deployment("shop").unwrap()), (1, image(1)));
    assert_eq!(placed(&world), [node("node-2")]);
}

#[tokio::test(start_paused = true)]
async fn other_programs_deploys_go_on_with_what_was_gone_back_to() {
    let world = World::new();
    world
        .live(async {
            in_service(&world, 1, 1, 2).await;
            in_service(&world, 2, 2, 2).await;
            world.write_rollback("shop", 1, 3);
            world.deployed(3, "shop").await;
            // A restart, for one: another request for the same instance.
            world.deployed(4, "shop").await;
        })
        .await;
    let deployment = world.deployment("shop").unwrap();
    assert_eq!(serves(&deployment), (1, image(1)));
    let last = deployment.releases.last().unwrap();
    assert_eq!((last.number.0, last.by.clone()), (1, None), "nobody knows who asked");
    world.assert_exact("shop", 2, "deployed again");
}
