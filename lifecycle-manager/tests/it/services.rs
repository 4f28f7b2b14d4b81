//! Placed services: where they are wished, in the wished version, on machines that live.

use std::time::Duration;

use common::failure::FailureCode;
use common::port::part::PartImage;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use common::record::platform::{InstanceState, RunningInstance};
use rollout::platform::Component;
use testkit::nodes::Reach;
use tokio::time::sleep;

use crate::world::{NODES, Outcome, World, id_of, image, name, placed, until};

#[tokio::test(start_paused = true)]
async fn everything_that_is_described_stands_and_is_said_to() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            let registry = "192.0.2.1:5000".parse().ok();
            for node in NODES {
                assert_eq!(world.parts.told_registry(&name(node)), registry);
            }
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
    assert_eq!(world.really_on(), ["node-2", "node-3"]);
    let running = world.running().unwrap();
    assert_eq!(running.instances[0].address, "192.0.2.2:8040".parse().unwrap());
    assert!(world.restarts().is_empty());
    assert!(world.enrolment.asked().is_empty(), "agents that answer need nothing");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_stopped_is_gone_and_the_base_stays() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.wish(&[], None);
            world.until_ready_on(&[]).await;
        })
        .await;
    assert!(world.really_on().is_empty());
    assert_eq!(world.parts.parts_of(&name("node-2")).len(), 4, "its base is as it was");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_dies_gives_its_instance_away_and_loses_it_when_it_comes_back() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-3", Reach::Dead).await;
            let has_left = |one: &RunningInstance| one.node != name("node-3");
            until(async || world.running().unwrap().instances.iter().all(has_left)).await;
            let moved = async || {
                let running = world.running().unwrap();
                let ready = |one: &&RunningInstance| one.state == InstanceState::Ready;
                running.instances.iter().filter(ready).count() == 2
            };
            until(moved).await;
            world.set_reach("node-3", Reach::Up).await;
            world.until_state("node-3", MachineState::Ready).await;
            until(async || world.really_on().len() == 2).await;
        })
        .await;
    let on = world.really_on();
    assert!(on.contains(&"node-2") && !on.contains(&"node-3"), "{on:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_stopped_is_gone_although_one_of_its_machines_is_away() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-3", Reach::Partitioned).await;
            world.wish(&[], None);
            world.until_ready_on(&[]).await;
            assert_eq!(world.really_on(), ["node-3"]);
            world.set_reach("node-3", Reach::Up).await;
            until(async || world.really_on().is_empty()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_version_is_rolled_out_one_by_one() {
    let world = World::new();
    let new = image("new");
    world.parts.registry().offer(&new);
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.wish(&["node-2", "node-3"], Some(&new));
            let has_new = |node| {
                let told = world.parts.told(&name(node), &placed()).unwrap();
                told.image == PartImage::Named(new.clone())
            };
            until(async || has_new("node-2") || has_new("node-3")).await;
            assert!(!(has_new("node-2") && has_new("node-3")), "one at a time");
            world.until_ready_on(&["node-2", "node-3"]).await;
            until(async || has_new("node-2") && has_new("node-3")).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_never_ready_is_backed_out_of_with_its_reason() {
    let world = World::new();
    let bad = image("bad");
    world.parts.registry().offer(&bad);
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.parts.set_healthy(&name("node-2"), &placed(), false);
            world.wish(&["node-2", "node-3"], Some(&bad));
            let told = |node| world.parts.told(&name(node), &placed()).unwrap().image;
            let old = PartImage::Id(id_of(Component::Platform));
            until(async || told("node-2") == PartImage::Named(bad.clone())).await;
            until(async || told("node-2") == old).await;
            assert_eq!(told("node-3"), old, "the other one was never touched");
            world.parts.set_healthy(&name("node-2"), &placed(), true);
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
    let running = world.running().unwrap();
    let backed_out = running.backed_out.unwrap();
    assert_eq!(backed_out.failure.code, FailureCode::HealthTimeout);
    assert_eq!((backed_out.image, backed_out.settings), (Some(bad.into()), false));
    assert!(running.instances.iter().all(|one| one.image.is_none() && one.failure.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_was_backed_out_of_is_said_to_be_until_another_one_was_rolled_out() {
    let world = World::new();
    let (bad, good) = (image("bad"), image("good"));
    world.parts.registry().offer(&good);
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.wish(&["node-2", "node-3"], Some(&bad));
            until(async || world.running().unwrap().backed_out.is_some()).await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            let failure = world.running().unwrap().backed_out.unwrap().failure;
            assert_eq!(failure.code, FailureCode::ImageUnavailable, "nobody has it");
            world.wish(&["node-2", "node-3"], Some(&good));
            until(async || world.running().unwrap().backed_out.is_none()).await;
        })
        .await;
    let ran = world.running().unwrap().instances;
    assert!(ran.iter().all(|one| one.image == Some(good.clone().into())));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_answer_is_restarted_by_itself() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.parts.set_healthy(&name("node-3"), &placed(), false);
            until(async || !world.restarts().is_empty()).await;
            world.parts.set_healthy(&name("node-3"), &placed(), true);
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(Duration::from_mins(5)).await;
        })
        .await;
    assert_eq!(world.restarts(), ["restart node-manager on node-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_host_key_changed_gets_no_orders_whatever_answers_there() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            world.enrolment.comes_to(Outcome::KeyChanged);
            world.set_reach("node-3", Reach::Dead).await;
            world.until_state("node-3", MachineState::Quarantined).await;
            world.parts.forget_calls();
            world.set_reach("node-3", Reach::Up).await;
            sleep(Duration::from_mins(3)).await;
            world.say(1, "restart service$node_manager");
            assert_eq!(world.answer(1).await, "done restart service$node_manager");
        })
        .await;
    let told: Vec<String> = world.parts.calls().iter().map(ToString::to_string).collect();
    let orders = ["ensure", "restart", "remove"];
    let is_order = |call: &&String| orders.iter().any(|order| call.starts_with(order));
    let on_it: Vec<_> =
        told.iter().filter(is_order).filter(|one| one.ends_with("node-3")).collect();
    assert!(on_it.is_empty(), "{on_it:?}");
    assert!(world.really_on().contains(&"node-3"), "what is there is left as it is");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_a_quarantined_machine_is_made_elsewhere_also_where_it_worked_until_then() {
    for dies in [true, false] {
        let world = World::new();
        world
            .during(async {
                world.until_calm().await;
                world.wish(&["node-2", "node-3"], None);
                world.until_ready_on(&["node-2", "node-3"]).await;
                let at = path::machine(&name("node-3"));
                let machine: MachineRecord = world.read(&at).unwrap();
                world.write(&at, &MachineRecord { state: MachineState::Quarantined, ..machine });
                sleep(Duration::from_secs(3)).await;
                if dies {
                    world.set_reach("node-3", Reach::Dead).await;
                }
                world.until_ready_on(&["node-2", "node-4"]).await;
            })
            .await;
        assert_eq!(world.state("node-3"), Some(MachineState::Quarantined));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_a_quarantined_machine_is_made_elsewhere_by_the_next_leader_too() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
        })
        .await;
    let at = path::machine(&name("node-3"));
    let machine: MachineRecord = world.read(&at).unwrap();
    world.write(&at, &MachineRecord { state: MachineState::Quarantined, ..machine });
    world.during(world.until_ready_on(&["node-2", "node-4"])).await;
}
