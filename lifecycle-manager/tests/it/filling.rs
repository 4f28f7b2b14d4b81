//! What a registry that was made anew has in the end: what every node has, also one that was away at first.

use std::time::Duration;

use common::digest::{Digest, ImageRef};
use common::name::NodeName;
use common::port::part::PartImage;
use common::record::path;
use serde_json::Value;
use testkit::nodes::Reach;
use testkit::part_containers::Pushing;
use tokio::time::sleep;

use crate::world::{Outcome, World, name, until};

fn app(content: &str) -> ImageRef {
    let digest = Digest::of(content.as_bytes());
    ImageRef::new(&format!("127.0.0.1:5000/apps/{content}"), digest).unwrap()
}

fn is_filled(world: &World) -> bool {
    let place = world.read::<Value>(&path::folder("lifecycle/registry"));
    place.is_some_and(|place| place.get("filled") == Some(&Value::Bool(true)))
}

fn place(world: &World, node: &NodeName, image: &ImageRef) {
    world.parts.engine(node).place_image(&PartImage::Named(image.clone()));
}

fn told(world: &World, node: &str) -> String {
    world.parts.told_registry(&name(node)).unwrap().to_string()
}

/// The first registry has what the nodes have.
async fn begun(world: &World) {
    world.until_calm().await;
    until(async || is_filled(world)).await;
}

/// The registry is lost with its machine, and made on node-2.
async fn lost(world: &World) {
    world.enrolment.comes_to(Outcome::DoesNotHelp);
    world.set_reach("node-1", Reach::Dead).await;
    until(async || told(world, "node-3") == "192.0.2.2:5000").await;
}

#[tokio::test(start_paused = true)]
async fn it_is_not_filled_before_a_node_that_was_away_was_asked_too() {
    let world = World::new();
    let (late, image) = (name("node-4"), app("a"));
    world
        .during(async {
            begun(&world).await;
            place(&world, &late, &image);
            world.parts.set_healthy(&name("node-2"), &"registry".parse().unwrap(), false);
            lost(&world).await;
            world.set_reach("node-4", Reach::Dead).await;
            world.parts.set_healthy(&name("node-2"), &"registry".parse().unwrap(), true);
            sleep(Duration::from_mins(5)).await;
            assert!(!is_filled(&world), "nobody has asked node-4");
            world.set_reach("node-4", Reach::Up).await;
            until(async || world.parts.registry().has(&image)).await;
            until(async || is_filled(&world)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_comes_back_after_it_was_filled_is_asked_then() {
    let world = World::new();
    let (late, image) = (name("node-4"), app("a"));
    world
        .during(async {
            begun(&world).await;
            place(&world, &late, &image);
            world.parts.set_healthy(&name("node-2"), &"registry".parse().unwrap(), false);
            lost(&world).await;
            world.set_reach("node-4", Reach::Dead).await;
            world.parts.set_healthy(&name("node-2"), &"registry".parse().unwrap(), true);
            sleep(Duration::from_mins(5)).await;
            world.set_reach("node-1", Reach::Up).await;
            until(async || is_filled(&world)).await;
            assert!(!world.parts.registry().has(&image));
        })
        .await;
    world
        .during(async {
            world.set_reach("node-4", Reach::Up).await;
            until(async || world.parts.registry().has(&image)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_one_node_cannot_bring_as_it_was_is_brought_by_one_that_comes_later() {
    let world = World::new();
    let image = app("a");
    let by = |node: &str| world.parts.engine(&name(node));
    let anew = Pushing::PacksAnew(Digest::of(b"packed anew"));
    world
        .during(async {
            begun(&world).await;
            place(&world, &name("node-3"), &image);
            by("node-3").set_pushing(&PartImage::Named(image.clone()), anew);
            place(&world, &name("node-1"), &image);
            lost(&world).await;
            until(async || is_filled(&world)).await;
            assert!(!world.parts.registry().has(&image));
            world.set_reach("node-1", Reach::Up).await;
            until(async || world.parts.registry().has(&image)).await;
        })
        .await;
}
