//! The registry: wherever it is, agents know it; one that was made anew has what the nodes have.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::name::{NodeName, PartName};
use common::port::part::{PartFolders, PartImage};
use common::record::machine::MachineState;
use common::record::path;
use rollout::platform::Component;
use serde_json::Value;
use testkit::nodes::Reach;
use testkit::part_containers::Pushing;
use testkit::parts::PartCall;
use tokio::time::sleep;

use crate::world::{Outcome, World, id_of, image, name, until};

#[tokio::test(start_paused = true)]
async fn a_registry_whose_machine_is_gone_is_made_elsewhere_and_filled_from_the_nodes() {
    let world = World::new();
    let app = image("of an app");
    world
        .during(async {
            world.until_calm().await;
            world.parts.place_image(&name("node-3"), &PartImage::Named(app.clone()));
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-1", Reach::Dead).await;
            let elsewhere = || {
                let told = world.parts.told_registry(&name("node-3")).unwrap();
                told != "192.0.2.1:5000".parse().unwrap()
            };
            until(async || elsewhere()).await;
            let pushed = |call: PartCall| {
                matches!(call, PartCall::Push { node, repository, .. }
                    if node == name("node-3") && repository == "avishkar/platform")
            };
            until(async || world.parts.calls().into_iter().any(pushed)).await;
            world.set_reach("node-1", Reach::Up).await;
            let has_none = || {
                let parts = world.parts.parts_of(&name("node-1"));
                parts.iter().all(|part| part.name.as_str() != "registry")
            };
            until(async || has_none()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_has_what_the_nodes_have_is_not_filled_again() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            until(async || is_filled(&world)).await;
            world.parts.forget_calls();
            sleep(Duration::from_mins(2)).await;
        })
        .await;
    let pushes = world.parts.calls().into_iter();
    assert_eq!(pushes.filter(|call| matches!(call, PartCall::Push { .. })).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_before_the_new_one_is_filled_is_the_registry_again() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            let others = ["node-2", "node-3", "node-4"].map(name);
            for node in &others {
                world.parts.set_healthy(node, &registry(), false);
            }
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-1", Reach::Dead).await;
            until(async || others.iter().any(|node| stands_on(&world, node))).await;
            until(async || told(&world, "node-3") != "192.0.2.1:5000").await;
            world.set_reach("node-1", Reach::Up).await;
            until(async || told(&world, "node-3") == "192.0.2.1:5000").await;
            until(async || !others.iter().any(|node| stands_on(&world, node))).await;
        })
        .await;
    assert!(stands_on(&world, &name("node-1")), "it may have what no node has any more");
    let mut kept = Vec::new();
    for call in world.parts.calls() {
        if let PartCall::Remove { removal, .. } = call
            && removal.name == registry()
        {
            kept.push(removal.data == PartFolders::Keep);
        }
    }
    assert!(!kept.is_empty() && kept.iter().all(|kept| *kept), "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_stood_in_goes_at_once_though_a_machine_is_away_and_nothing_is_filled() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            for node in ["node-2", "node-3", "node-4"] {
                world.parts.set_healthy(&name(node), &registry(), false);
            }
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-1", Reach::Dead).await;
            until(async || told(&world, "node-3") == "192.0.2.2:5000").await;
            world.machines.set_reach(&name("node-4"), Reach::Hung).await;
            world.set_reach("node-1", Reach::Up).await;
            until(async || told(&world, "node-3") == "192.0.2.1:5000").await;
            sleep(Duration::from_secs(10)).await;
            assert!(!is_filled(&world));
            assert!(!stands_on(&world, &name("node-2")));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_machine_comes_back_with_another_host_key_is_made_elsewhere() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.enrolment.comes_to(Outcome::KeyChanged);
            world.set_reach("node-1", Reach::Dead).await;
            // Before anybody has missed the registry for long enough.
            world.until_state("node-1", MachineState::Quarantined).await;
            assert_eq!(told(&world, "node-3"), "192.0.2.1:5000");
            until(async || told(&world, "node-3") != "192.0.2.1:5000").await;
            until(async || is_filled(&world)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn it_moves_only_to_a_machine_that_has_its_image() {
    let world = World::new();
    for node in ["node-2", "node-3"] {
        world.parts.engine(&name(node)).lose_image(&PartImage::Id(id_of(Component::Registry)));
    }
    world
        .during(async {
            world.until_calm().await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-1", Reach::Dead).await;
            until(async || told(&world, "node-3") == "192.0.2.4:5000").await;
            until(async || is_filled(&world)).await;
        })
        .await;
    assert!(stands_on(&world, &name("node-4")));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_its_image_it_waits_for_its_machine() {
    let world = World::new();
    for node in ["node-2", "node-3", "node-4"] {
        world.parts.engine(&name(node)).lose_image(&PartImage::Id(id_of(Component::Registry)));
    }
    let tries = || {
        let calls = world.parts.calls().into_iter().map(|call| call.to_string());
        calls.filter(|call| call.starts_with("ensure registry on ")).count()
    };
    world
        .during(async {
            world.until_calm().await;
            let before = tries();
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-1", Reach::Dead).await;
            sleep(Duration::from_mins(8)).await;
            assert_eq!(tries() - before, 3, "each was asked once");
            world.set_reach("node-1", Reach::Up).await;
            until(async || is_filled(&world)).await;
        })
        .await;
    assert_eq!(told(&world, "node-3"), "192.0.2.1:5000");
}

/// The registry is lost with its machine and made on node-2, while node-3 has these images.
async fn refilled(world: &World, images: &[&ImageRef], pushing: &[(&ImageRef, Pushing)]) {
    let engine = world.parts.engine(&name("node-3"));
    for image in images {
        engine.place_image(&PartImage::Named((*image).clone()));
    }
    for (image, pushing) in pushing {
        engine.set_pushing(&PartImage::Named((*image).clone()), pushing.clone());
    }
    world.enrolment.comes_to(Outcome::DoesNotHelp);
    world.set_reach("node-1", Reach::Dead).await;
    until(async || told(world, "node-3") == "192.0.2.2:5000").await;
}

#[tokio::test(start_paused = true)]
async fn one_image_that_cannot_be_pushed_holds_up_no_other_and_is_tried_again_less_and_less_often()
{
    let world = World::new();
    let (bad, good) = (app("a"), app("b"));
    world
        .during(async {
            world.until_calm().await;
            refilled(&world, &[&bad, &good], &[(&bad, Pushing::Fails)]).await;
            until(async || world.parts.registry().has(&good)).await;
            sleep(Duration::from_mins(10)).await;
            assert!(!is_filled(&world), "it does not say that it has what it has not");
            assert_eq!(pushes(&world, &good), 1, "what was pushed is remembered");
            let tries = pushes(&world, &bad);
            assert!((3..12).contains(&tries), "{tries} tries in ten minutes");
            let engine = world.parts.engine(&name("node-3"));
            engine.set_pushing(&PartImage::Named(bad.clone()), Pushing::Works);
            until(async || is_filled(&world)).await;
        })
        .await;
    assert!(world.parts.registry().has(&bad));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_arrives_under_another_digest_is_not_taken_for_itself_and_another_machine_is_asked()
 {
    let world = World::new();
    let wanted = app("a");
    let anew = Pushing::PacksAnew(Digest::of(b"packed anew"));
    world
        .during(async {
            world.until_calm().await;
            let node_4 = world.parts.engine(&name("node-4"));
            node_4.place_image(&PartImage::Named(wanted.clone()));
            refilled(&world, &[&wanted], &[(&wanted, anew)]).await;
            until(async || is_filled(&world)).await;
        })
        .await;
    assert!(world.parts.registry().has(&wanted));
}

#[tokio::test(start_paused = true)]
async fn filling_goes_on_where_the_leader_before_ended() {
    let world = World::new();
    let (bad, good) = (app("a"), app("b"));
    world
        .during(async {
            world.until_calm().await;
            refilled(&world, &[&bad, &good], &[(&bad, Pushing::Fails)]).await;
            until(async || world.parts.registry().has(&good)).await;
            sleep(Duration::from_mins(1)).await;
        })
        .await;
    world.during(sleep(Duration::from_mins(5))).await;
    assert_eq!(pushes(&world, &good), 1);
}

fn registry() -> PartName {
    "registry".parse().unwrap()
}

fn app(content: &str) -> ImageRef {
    let digest = Digest::of(content.as_bytes());
    ImageRef::new(&format!("127.0.0.1:5000/apps/{content}"), digest).unwrap()
}

fn stands_on(world: &World, node: &NodeName) -> bool {
    world.parts.parts_of(node).iter().any(|part| part.name == registry())
}

fn told(world: &World, node: &str) -> String {
    world.parts.told_registry(&name(node)).unwrap().to_string()
}

fn is_filled(world: &World) -> bool {
    let place = world.read::<Value>(&path::folder("lifecycle/registry"));
    place.is_some_and(|place| place.get("filled") == Some(&Value::Bool(true)))
}

fn pushes(world: &World, image: &ImageRef) -> usize {
    let of_it = |call: &PartCall| matches!(call, PartCall::Push { image: PartImage::Named(pushed), .. } if pushed == image);
    world.parts.calls().iter().filter(|call| of_it(call)).count()
}
