//! The registry: wherever it is, agents know it; one that was made anew has what the nodes have.

use std::time::Duration;

use common::port::part::PartImage;
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
