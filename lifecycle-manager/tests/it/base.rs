//! The base: what hangs is restarted, and what lost its data joins the others only while all of them are there.

use std::time::Duration;

use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::nodes::Issuer;
use common::port::part::{PartFolders, PartRemoval};
use common::port::store::Op;
use common::port::{Parts as _, Store as _};
use common::record::path;
use common::service::ServiceName;
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{Outcome, World, agent, name, until};

const A_WHILE: Duration = Duration::from_mins(2);

fn part(part: &str) -> PartName {
    part.parse().unwrap()
}

/// The machine comes back without anything that this part had.
pub(crate) async fn empty(world: &World, node: &NodeName, part: &PartName) {
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
async fn each_of_two_edges_gets_again_what_moves_their_address() {
    let world = World { pair: true, ..World::new() };
    world
        .during(async {
            world.until_calm().await;
            for node in ["node-3", "node-4"].map(name) {
                for lost in ["edge", "address"].map(part) {
                    until(async || has(&world, &node, &lost)).await;
                    empty(&world, &node, &lost).await;
                    until(async || has(&world, &node, &lost)).await;
                }
            }
            assert!(!has(&world, &name("node-1"), &part("address")));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_all_that_keep_something_restarts_none_of_them() {
    let world = World::new();
    let keepers = ["kafka", "zookeeper"].map(part);
    let all = |healthy| {
        for node in ["node-1", "node-2", "node-3"] {
            for keeper in &keepers {
                world.parts.set_healthy(&name(node), keeper, healthy);
            }
        }
        world.parts.set_healthy(&name("node-1"), &part("registry"), healthy);
    };
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            for _ in 0..3 {
                all(false);
                sleep(Duration::from_secs(20)).await;
                all(true);
                sleep(Duration::from_secs(20)).await;
            }
        })
        .await;
    assert!(world.restarts().is_empty(), "{:?}", world.restarts());
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
async fn two_members_that_hang_are_restarted_one_after_another() {
    let world = World::new();
    let kafka = part("kafka");
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            for node in ["node-1", "node-2"] {
                world.parts.set_healthy(&name(node), &kafka, false);
            }
            until(async || !world.restarts().is_empty()).await;
            let first = world.restarts().remove(0);
            let node = name(first.strip_prefix("restart kafka on ").unwrap());
            sleep(Duration::from_secs(10)).await;
            assert_eq!(world.restarts(), [first], "it has its time to become ready");
            world.parts.set_healthy(&node, &kafka, true);
            until(async || world.restarts().len() > 1).await;
        })
        .await;
    let mut restarts = world.restarts();
    restarts.sort();
    assert_eq!(restarts, ["restart kafka on node-1", "restart kafka on node-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_is_restarted_also_while_the_machine_of_another_one_is_off() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-3", Reach::Dead).await;
            world.parts.set_healthy(&name("node-2"), &part("kafka"), false);
            until(async || !world.restarts().is_empty()).await;
        })
        .await;
    assert_eq!(world.restarts(), ["restart kafka on node-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_waits_for_one_that_hangs_comes_back_once_that_was_restarted() {
    let world = World::new();
    let (emptied, hung, kafka) = (name("node-2"), name("node-3"), part("kafka"));
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            world.parts.set_healthy(&hung, &kafka, false);
            empty(&world, &emptied, &kafka).await;
            until(async || !world.restarts().is_empty()).await;
            assert!(!has(&world, &emptied, &kafka));
            world.parts.set_healthy(&hung, &kafka, true);
            until(async || has(&world, &emptied, &kafka)).await;
        })
        .await;
    assert_eq!(world.restarts(), ["restart kafka on node-3"]);
}

#[tokio::test(start_paused = true)]
async fn members_that_wait_for_each_other_are_an_alarm_that_a_person_can_end() {
    let world = World::new();
    let (first, second, kafka) = (name("node-2"), name("node-3"), part("kafka"));
    world
        .during(async {
            world.until_calm().await;
            sleep(A_WHILE).await;
            assert_eq!(world.alarms(), (0, 0));
            for node in [&first, &second] {
                empty(&world, node, &kafka).await;
            }
            until(async || world.alarms() == (1, 0)).await;
            assert!(!has(&world, &first, &kafka) && !has(&world, &second, &kafka));
            // As the README says.
            let path = path::folder("lifecycle/bases/node-2");
            let version = world.store.get(&path).await.unwrap().unwrap().version;
            world.store.commit(vec![Op::Delete { path, version }]).await.unwrap();
            until(async || has(&world, &first, &kafka)).await;
            until(async || has(&world, &second, &kafka)).await;
            until(async || world.alarms() == (1, 1)).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_cannot_be_made_holds_up_no_other_of_its_machine() {
    let world = World::new();
    let engine = world.parts.engine(&name("node-1"));
    engine.refuse_to_start(&part("zookeeper"), Some("no such device"));
    world
        .during(async {
            let manager = part("lifecycle-manager");
            until(async || has(&world, &name("node-1"), &manager)).await;
        })
        .await;
    assert!(!has(&world, &name("node-1"), &part("zookeeper")));
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
