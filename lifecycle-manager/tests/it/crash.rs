//! Crashes anywhere: who comes after goes on, and nothing is done twice.

use std::time::Duration;

use common::port::part::PartImage;
use common::record::machine::MachineState;
use testkit::nodes::Reach;
use testkit::parts::PartCall;
use testkit::store::Fault;
use tokio::time::sleep;

use crate::http::{ended, order};
use crate::world::{World, image, name, placed, run, until};

const STEP: Duration = Duration::from_millis(150);

#[tokio::test(start_paused = true)]
async fn a_restart_that_is_cut_off_anywhere_is_finished_and_each_instance_restarted_once() {
    for crash_after in 0..40 {
        let world = World::new();
        world.during(world.with_service()).await;
        world.say(1, "restart service$node_manager");
        world.during(sleep(Duration::from_secs(5) + STEP * crash_after)).await;
        world
            .during(async {
                let answer = world.answer(1).await;
                assert_eq!(answer, "done restart service$node_manager", "{crash_after}");
                sleep(Duration::from_secs(30)).await;
            })
            .await;
        let restarts = world.restarts();
        assert_eq!(restarts.len(), 2, "after {crash_after} steps: {restarts:?}");
    }
}

/// What the agents of both machines were told last of the placed service.
fn told(world: &World) -> [PartImage; 2] {
    ["node-2", "node-3"].map(|node| world.parts.told(&name(node), &placed()).unwrap().image)
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_cut_off_anywhere_is_finished_and_never_takes_both_away() {
    for crash_after in 0..30 {
        let world = World::new();
        let new = image("new");
        world.parts.registry().offer(&new);
        world.during(world.with_service()).await;
        world.parts.forget_calls();
        world.wish(&["node-2", "node-3"], Some(&new));
        world.during(sleep(Duration::from_secs(5) + STEP * crash_after)).await;
        world
            .during(async {
                until(async || {
                    told(&world) == [&new, &new].map(|one| PartImage::Named(one.clone()))
                })
                .await;
                world.until_ready_on(&["node-2", "node-3"]).await;
            })
            .await;
        let ensured = |call: &PartCall| call.to_string().starts_with("ensure node-manager on ");
        let ensured = world.parts.calls().iter().filter(|call| ensured(call)).count();
        assert!(ensured <= 3, "after {crash_after} steps: {ensured} orders");
    }
}

#[tokio::test(start_paused = true)]
async fn backing_out_that_is_cut_off_anywhere_ends_with_the_former_version_and_the_reason() {
    for crash_after in 0..30 {
        let world = World::new();
        let bad = image("bad");
        world.parts.registry().offer(&bad);
        world.during(world.with_service()).await;
        let [before, other] = told(&world);
        world.parts.set_healthy(&name("node-2"), &placed(), false);
        world.wish(&["node-2", "node-3"], Some(&bad));
        // The leader that comes after looks for five seconds first, and gives the version its minute.
        world.during(sleep(Duration::from_secs(64) + STEP * crash_after)).await;
        world
            .during(async {
                until(async || world.running().unwrap().backed_out.is_some()).await;
                world.parts.set_healthy(&name("node-2"), &placed(), true);
                world.until_ready_on(&["node-2", "node-3"]).await;
            })
            .await;
        assert_eq!(told(&world), [before, other], "after {crash_after} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_restart_is_cut_off_anywhere_is_restarted_once() {
    for crash_after in 0..40 {
        let world = World::new();
        let first = world.service();
        let asked = run(&first, async {
            world.until_calm().await;
            let asked = order(&first, "node-4").await;
            sleep(STEP * crash_after).await;
            asked
        })
        .await;
        drop(first);
        // The machine itself goes on with what it was told.
        world.set_reach("node-4", Reach::Up).await;
        let second = world.service();
        run(&second, async { ended(&second, &asked).await }).await;
        let restarted = world.machines.restarted();
        assert_eq!(restarted, [name("node-4")], "after {crash_after} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_takes_its_time_to_stop_is_not_told_again_by_the_next_leader() {
    let world = World::new();
    world.machines.take_to_stop(Duration::from_secs(30));
    let first = world.service();
    let asked = run(&first, async {
        world.until_calm().await;
        let asked = order(&first, "node-4").await;
        until(async || !world.machines.restarted().is_empty()).await;
        asked
    })
    .await;
    drop(first);
    let second = world.service();
    run(&second, async {
        // The machine itself goes on with what it was told.
        sleep(Duration::from_secs(25)).await;
        world.set_reach("node-4", Reach::Dead).await;
        sleep(Duration::from_secs(3)).await;
        world.set_reach("node-4", Reach::Up).await;
        assert_eq!(ended(&second, &asked).await["is"], "SUCCEEDED");
        sleep(Duration::from_mins(5)).await;
    })
    .await;
    assert_eq!(world.machines.restarted(), [name("node-4")]);
}

#[tokio::test(start_paused = true)]
async fn writes_that_fail_or_whose_answer_is_lost_cost_nothing_but_time() {
    for fault in [Fault::Unavailable, Fault::RequestLost, Fault::AnswerLost] {
        for after in 0..30 {
            let world = World::new();
            world
                .during(async {
                    world.until_calm().await;
                    world.store.fail_commit_after(after, fault);
                    world.wish(&["node-2", "node-3"], None);
                    world.until_ready_on(&["node-2", "node-3"]).await;
                    sleep(Duration::from_secs(20)).await;
                    world.say(1, "restart service$node_manager");
                    assert_eq!(world.answer(1).await, "done restart service$node_manager");
                })
                .await;
            let restarts = world.restarts();
            assert_eq!(restarts.len(), 2, "{fault:?} after {after}: {restarts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_answer_is_lost_has_done_it_once() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.parts.lose_answers(&name("node-2"), 1);
            world.wish(&["node-2", "node-3"], None);
            world.until_ready_on(&["node-2", "node-3"]).await;
            sleep(Duration::from_mins(1)).await;
        })
        .await;
    let ensured = |call: &PartCall| call.to_string() == "ensure node-manager on node-2";
    assert_eq!(world.parts.calls().iter().filter(|call| ensured(call)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_is_cut_off_anywhere_ends_with_everything_there() {
    for crash_after in 0..30 {
        let world = World::new();
        world.wish(&["node-2", "node-3"], None);
        world.during(sleep(Duration::from_secs(4) + STEP * crash_after)).await;
        world
            .during(async {
                world.until_calm().await;
                world.until_ready_on(&["node-2", "node-3"]).await;
            })
            .await;
        assert_eq!(world.really_on(), ["node-2", "node-3"], "after {crash_after} steps");
        assert!(world.restarts().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_may_be_away_for_a_moment() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.store.go_down();
            sleep(Duration::from_secs(1)).await;
            world.store.come_back();
            world.set_reach("node-2", Reach::Dead).await;
            world.until_state("node-2", MachineState::Silent).await;
            until(async || world.state("node-2") == Some(MachineState::Ready)).await;
        })
        .await;
}
