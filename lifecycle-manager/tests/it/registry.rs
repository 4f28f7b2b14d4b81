//! The registry: wherever it is, agents know it; one that was made anew has what the nodes have.

use std::time::Duration;

use common::name::PartName;
use common::port::part::{PartFolders, PartImage};
use common::record::path;
use serde_json::Value;
use testkit::nodes::Reach;
use testkit::parts::PartCall;
use tokio::time::sleep;

use crate::world::{Outcome, World, image, name, until};

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
    let at = path::folder("lifecycle/registry");
    let is_filled = || world.read::<Value>(&at).is_some_and(|place| place["filled"] == true);
    world
        .during(async {
            world.until_calm().await;
            until(async || is_filled()).await;
            world.parts.forget_calls();
            sleep(Duration::from_mins(2)).await;
        })
        .await;
    let pushes = world.parts.calls().into_iter();
    assert_eq!(pushes.filter(|call| matches!(call, PartCall::Push { .. })).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_keeps_its_images_and_stays_until_the_new_one_is_filled() {
    let world = World::new();
    let registry = PartName::try_from("registry".to_owned()).unwrap();
    let old_one_is_there =
        || world.parts.parts_of(&name("node-1")).iter().any(|part| part.name == registry);
    world
        .during(async {
            world.until_calm().await;
            let others = ["node-2", "node-3"].map(name);
            let answers = |healthy| {
                for node in &others {
                    world.parts.set_healthy(node, &registry, healthy);
                }
            };
            answers(false);
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-1", Reach::Dead).await;
            let is_elsewhere =
                |node| world.parts.parts_of(node).iter().any(|part| part.name == registry);
            until(async || others.iter().any(is_elsewhere)).await;
            world.set_reach("node-1", Reach::Up).await;
            sleep(Duration::from_mins(1)).await;
            assert!(old_one_is_there(), "what the new one is not filled with may stand here only");
            answers(true);
            until(async || !old_one_is_there()).await;
        })
        .await;
    let mut kept = Vec::new();
    for call in world.parts.calls() {
        if let PartCall::Remove { removal, .. } = call
            && removal.name == registry
        {
            kept.push(removal.data == PartFolders::Keep);
        }
    }
    assert!(!kept.is_empty() && kept.iter().all(|kept| *kept), "{kept:?}");
}
