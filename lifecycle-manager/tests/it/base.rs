//! The base: what hangs is restarted, and what lost its data joins the others only while all of them are there.

use std::time::Duration;

use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::Parts as _;
use common::port::nodes::Issuer;
use common::port::part::{PartFolders, PartRemoval};
use common::service::ServiceName;
use tokio::time::sleep;

use crate::world::{World, agent, name, until};

const A_WHILE: Duration = Duration::from_mins(2);

fn part(part: &str) -> PartName {
    part.parse().unwrap()
}

/// The machine comes back without anything that this part had.
async fn empty(world: &World, node: &NodeName, part: &PartName) {
    let epoch = world.parts.seen_epoch(node).unwrap();
    let issuer = Issuer { service: ServiceName::LifecycleManager, epoch };
    let (name, generation) = (part.clone(), Generation(u64::MAX));
    let removal = PartRemoval { name, generation, data: PartFolders::Discard };
    world.parts.remove_part(&agent(node), issuer, &removal).await.unwrap();
}

fn has(world: &World, node: &NodeName, part: &PartName) -> bool {
    world.parts.parts_of(node).iter().any(|one| one.name == *part)
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_base_that_hangs_is_restarted_and_not_again_and_again() {
    for (node, hung) in [("node-2", "kafka"), ("node-3", "zookeeper"), ("node-4", "edge")] {
        let world = World::new();
        world
            .during(async {
                world.until_calm().await;
                sleep(A_WHILE).await;
                world.parts.set_healthy(&name(node), &part(hung), false);
                until(async || !world.restarts().is_empty()).await;
                sleep(A_WHILE).await;
            })
            .await;
        assert_eq!(world.restarts(), [format!("restart {hung} on {node}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_registry_is_restarted_too_where_it_hangs() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            world.parts.set_healthy(&name("node-1"), &part("registry"), false);
            until(async || !world.restarts().is_empty()).await;
        })
        .await;
    assert_eq!(world.restarts(), ["restart registry on node-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_is_not_restarted_beside_another_one_that_is_ill() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            for node in ["node-1", "node-2"] {
                world.parts.set_healthy(&name(node), &part("kafka"), false);
            }
            sleep(A_WHILE).await;
            assert!(world.restarts().is_empty(), "{:?}", world.restarts());
            world.parts.set_healthy(&name("node-1"), &part("kafka"), true);
            until(async || !world.restarts().is_empty()).await;
        })
        .await;
    assert_eq!(world.restarts(), ["restart kafka on node-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_lost_its_data_comes_back_only_while_all_others_are_ready() {
    for ensemble in ["zookeeper", "kafka"] {
        let world = World::new();
        let (emptied, other) = (name("node-2"), name("node-3"));
        let part = part(ensemble);
        world
            .during(async {
                world.until_calm().await;
                sleep(A_WHILE).await;
                world.parts.set_healthy(&other, &part, false);
                empty(&world, &emptied, &part).await;
                // Long enough for a look, not for the other one to be restarted.
                sleep(Duration::from_secs(12)).await;
                assert!(!has(&world, &emptied, &part), "{ensemble} could outvote what is known");
                world.parts.set_healthy(&other, &part, true);
                until(async || has(&world, &emptied, &part)).await;
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_successor_knows_that_a_member_lost_its_data() {
    let world = World::new();
    let (emptied, other) = (name("node-2"), name("node-3"));
    let kafka = part("kafka");
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
        })
        .await;
    world.parts.set_healthy(&other, &kafka, false);
    empty(&world, &emptied, &kafka).await;
    world.during(sleep(A_WHILE)).await;
    assert!(!has(&world, &emptied, &kafka));
}
