//! Restarts of machines: whole, one at a time, and none that is needless.

use std::time::Duration;

use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use testkit::nodes::Reach;
use tokio::time::{Instant, sleep};

use crate::http::{ended, order};
use crate::machines::key;
use crate::world::{Outcome, World, name, run, until};

#[tokio::test(start_paused = true)]
async fn a_machine_is_restarted_through_its_backend_once() {
    let world = World::new();
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        let asked = [order(&service, "node-4").await, order(&service, "node-4").await];
        for asked in asked {
            assert_eq!(ended(&service, &asked).await["is"], "SUCCEEDED");
        }
        sleep(Duration::from_mins(5)).await;
    })
    .await;
    assert_eq!(world.machines.restarted(), [name("node-4")]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_back_when_all_its_parts_are_and_only_then_is_the_next_restarted() {
    let world = World::new();
    let service = world.service();
    let kafka = "kafka".parse().unwrap();
    run(&service, async {
        world.until_calm().await;
        world.parts.set_healthy(&name("node-3"), &kafka, false);
        let first = order(&service, "node-3").await;
        until(async || !world.machines.restarted().is_empty()).await;
        let second = order(&service, "node-4").await;
        sleep(Duration::from_secs(40)).await;
        assert_eq!(world.machines.restarted(), [name("node-3")], "its Kafka is not ready");
        world.parts.set_healthy(&name("node-3"), &kafka, true);
        assert_eq!(ended(&service, &first).await["is"], "SUCCEEDED");
        assert_eq!(ended(&service, &second).await["is"], "SUCCEEDED");
    })
    .await;
    assert_eq!(world.machines.restarted(), [name("node-3"), name("node-4")]);
    assert_eq!(world.machines.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_the_others_cannot_spare_is_not_restarted_whoever_asks() {
    let world = World::new();
    let service = world.service();
    let kafka = "kafka".parse().unwrap();
    run(&service, async {
        world.until_calm().await;
        world.parts.set_healthy(&name("node-2"), &kafka, false);
        let refused = order(&service, "node-3").await;
        let failure = ended(&service, &refused).await["failure"].clone();
        assert_eq!(failure["code"], "RESTART_HELD");
        let why = "kafka on node-2 is not ready: without the one on node-3 too few of 3 were left; see to node-2 first";
        assert_eq!(failure["message"], why);
        assert!(world.machines.restarted().is_empty());
        // The one that does nothing, and a machine without any, are no loss.
        for node in ["node-4", "node-2"] {
            order(&service, node).await;
            until(async || world.machines.restarted().contains(&name(node))).await;
        }
        world.parts.set_healthy(&name("node-2"), &kafka, true);
        sleep(Duration::from_mins(1)).await;
        let asked = order(&service, "node-3").await;
        assert_eq!(ended(&service, &asked).await["is"], "SUCCEEDED");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_answers_and_takes_no_part_is_none_that_another_can_be_spared_for() {
    for part in ["zookeeper", "kafka"] {
        let world = World::new();
        let service = world.service();
        let part = part.parse().unwrap();
        run(&service, async {
            world.until_calm().await;
            world.parts.set_apart(&name("node-2"), &part, true);
            let refused = order(&service, "node-3").await;
            let failure = ended(&service, &refused).await["failure"].clone();
            assert_eq!(failure["code"], "RESTART_HELD", "{part}");
            // Nobody restarts it for that: it may be on its way.
            sleep(Duration::from_mins(30)).await;
            assert!(world.restarts().is_empty(), "{:?}", world.restarts());
            world.parts.set_apart(&name("node-2"), &part, false);
            let asked = order(&service, "node-3").await;
            assert_eq!(ended(&service, &asked).await["is"], "SUCCEEDED");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_members_that_are_ill_and_would_wait_for_each_other_either_is_restarted() {
    let world = World::new();
    let service = world.service();
    let ill = [("node-2", "zookeeper"), ("node-3", "kafka")];
    run(&service, async {
        world.until_calm().await;
        for (node, part) in ill {
            world.parts.set_healthy(&name(node), &part.parse().unwrap(), false);
        }
        let refused = order(&service, "node-1").await;
        let failure = ended(&service, &refused).await["failure"].clone();
        assert_eq!(failure["code"], "RESTART_HELD", "it is needed, and nothing on it is ill");
        for (node, part) in ill {
            let asked = order(&service, node).await;
            until(async || world.machines.restarted().contains(&name(node))).await;
            world.parts.set_healthy(&name(node), &part.parse().unwrap(), true);
            assert_eq!(ended(&service, &asked).await["is"], "SUCCEEDED");
        }
    })
    .await;
    assert_eq!(world.machines.restarted(), ill.map(|(node, _)| name(node)));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_come_back_whole_is_told_with_what_is_missing() {
    let world = World::new();
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        world.parts.set_healthy(&name("node-3"), &"kafka".parse().unwrap(), false);
        let asked = order(&service, "node-3").await;
        let told = ended(&service, &asked).await["failure"]["message"].to_string();
        assert!(told.contains("not back or not ready: kafka"), "{told}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_given_to_another_machine_meanwhile_is_not_waited_for() {
    let world = World::new();
    world.machines.take_to_stop(Duration::from_secs(1));
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        world.wish(&["node-2", "node-3"], None);
        world.until_ready_on(&["node-2", "node-3"]).await;
        let asked = order(&service, "node-3").await;
        until(async || !world.machines.restarted().is_empty()).await;
        world.wish(&["node-2", "node-4"], None);
        assert_eq!(ended(&service, &asked).await["is"], "SUCCEEDED");
        world.until_ready_on(&["node-2", "node-4"]).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_program_restarts_no_machine_that_answers_or_that_has_come_back_since() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.say(1, "restart node$node-4");
            let answer = world.answer(1).await;
            assert!(answer.ends_with("RESTART_HELD: machine node-4 answers: it was not restarted"));
            world.set_reach("node-3", Reach::Partitioned).await;
            sleep(Duration::from_secs(3)).await;
            world.say(2, "restart node$node-3");
            sleep(Duration::from_secs(1)).await;
            // It is back before anybody has acted.
            world.set_reach("node-3", Reach::Up).await;
            assert!(world.answer(2).await.contains("RESTART_HELD"));
        })
        .await;
    assert!(world.machines.restarted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_a_new_leader_finds_restarts_no_machine_that_is_back() {
    for crash_after in 0..30 {
        let world = World::new();
        world.during(world.until_calm()).await;
        world.enrolment.comes_to(Outcome::DoesNotHelp);
        world.set_reach("node-3", Reach::Partitioned).await;
        world.say(1, "restart node$node-3");
        let before = Duration::from_secs(5) + Duration::from_millis(100) * crash_after;
        world.during(sleep(before)).await;
        let asked = world.machines.restarted().len();
        world.set_reach("node-3", Reach::Up).await;
        world.during(async { world.answer(1).await }).await;
        assert_eq!(world.machines.restarted().len(), asked, "after {crash_after} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_restarted_by_itself_is_not_restarted_again_by_a_request() {
    let world = World::new();
    world.enrolment.comes_to(Outcome::DoesNotHelp);
    world
        .during(async {
            world.until_calm().await;
            world.set_reach("node-4", Reach::Hung).await;
            until(async || !world.machines.restarted().is_empty()).await;
            world.say(1, "restart node$node-4");
            assert!(world.answer(1).await.contains("not done"));
            sleep(Duration::from_mins(1)).await;
        })
        .await;
    assert_eq!(world.machines.restarted(), [name("node-4")]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_comes_back_without_its_agent_gets_another_and_has_been_restarted() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.machines.break_agent(&name("node-4")).await;
            world.say(1, "restart node$node-4");
            until(async || world.enrolment.asked().contains(&name("node-4"))).await;
            world.machines.mend_agent(&name("node-4")).await;
            assert_eq!(world.answer(1).await, "done restart node$node-4");
        })
        .await;
    assert_eq!(world.machines.restarted(), [name("node-4")]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_boots_for_long_is_made_a_node_also_where_that_was_tried_too_soon() {
    let world = World::new();
    let node = name("node-4");
    world
        .during(async {
            world.until_calm().await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.machines.break_agent(&node).await;
            world.say(1, "restart node$node-4");
            until(async || world.enrolment.asked().contains(&node)).await;
            world.enrolment.comes_to(Outcome::Helps);
            until(async || world.enrolment.asked().len() > 1).await;
            world.machines.mend_agent(&node).await;
            assert_eq!(world.answer(1).await, "done restart node$node-4");
            sleep(Duration::from_mins(10)).await;
        })
        .await;
    assert_eq!(world.machines.restarted(), [node]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_being_made_a_node_is_not_restarted_meanwhile() {
    let world = World::new();
    world.enrolment.takes(Duration::from_secs(30));
    world
        .during(async {
            world.until_calm().await;
            world.set_reach("node-4", Reach::Dead).await;
            until(async || world.enrolment.asked().contains(&name("node-4"))).await;
            world.say(1, "restart node$node-4");
            assert!(world.answer(1).await.contains("not done"));
            world.until_state("node-4", MachineState::Ready).await;
        })
        .await;
    assert!(world.machines.restarted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_in_quarantine_keeps_no_other_from_being_restarted() {
    let world = World::new();
    world.enrolment.comes_to(Outcome::KeyChanged);
    world
        .during(async {
            world.until_calm().await;
            world.set_reach("node-3", Reach::Dead).await;
            world.until_state("node-3", MachineState::Quarantined).await;
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.set_reach("node-4", Reach::Hung).await;
            sleep(Duration::from_secs(8)).await;
            world.say(1, "restart node$node-4");
            assert_eq!(world.answer(1).await, "done restart node$node-4");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_one_that_comes_into_quarantine_ends_at_once_for_all_who_asked() {
    let world = World::new();
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        world.enrolment.comes_to(Outcome::DoesNotHelp);
        world.machines.break_agent(&name("node-4")).await;
        world.say(1, "restart node$node-4");
        until(async || !world.machines.restarted().is_empty()).await;
        world.enrolment.comes_to(Outcome::KeyChanged);
        let asked = order(&service, "node-4").await;
        world.until_state("node-4", MachineState::Quarantined).await;
        let found = Instant::now();
        let told = ended(&service, &asked).await["failure"].clone();
        assert_eq!(told["code"], "NODE_UNAVAILABLE", "{told}");
        assert!(world.answer(1).await.contains("NODE_UNAVAILABLE"));
        assert!(found.elapsed() < Duration::from_secs(30), "{:?}", found.elapsed());
        // Nor does another one wait for the time in which it could have come back.
        let other = order(&service, "node-3").await;
        assert_eq!(ended(&service, &other).await["is"], "SUCCEEDED");
        assert!(found.elapsed() < Duration::from_mins(2), "{:?}", found.elapsed());
    })
    .await;
    assert_eq!(world.machines.restarted(), [name("node-4"), name("node-3")]);
}

#[tokio::test(start_paused = true)]
async fn two_machines_that_hang_at_once_are_restarted_one_after_another() {
    let world = World { max_machines: 8, ..World::new() };
    let extras = ["added-1", "added-2", "added-3", "added-4"];
    world
        .during(async {
            world.until_calm().await;
            for (number, extra) in (1..).zip(extras) {
                world.say(number, "need node$more");
                world.until_state(extra, MachineState::Ready).await;
                sleep(Duration::from_mins(10)).await;
            }
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            for extra in &extras[..2] {
                world.set_reach(extra, Reach::Hung).await;
            }
            until(async || world.machines.restarted().len() == 2).await;
            for extra in &extras[..2] {
                world.until_state(extra, MachineState::Ready).await;
            }
        })
        .await;
    assert_eq!(world.machines.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_somebody_else_made_anew_is_neither_quarantined_nor_restarted() {
    let world = World::new();
    let (node, at) = (name("node-4"), path::machine(&name("node-4")));
    let record = || world.read::<MachineRecord>(&at).unwrap();
    world
        .during(async {
            world.until_calm().await;
            let described = record();
            assert_eq!(described.id, Some(world.machines.id(&node)));
            world.write(&at, &MachineRecord { host_key: Some(key("a")), ..described });
            world.enrolment.comes_to(Outcome::DoesNotHelp);
            world.machines.is_made_anew(&node, key("b")).await;
            until(async || !world.enrolment.asked().is_empty()).await;
            world.enrolment.comes_to(Outcome::Helps);
            world.until_state("node-4", MachineState::Ready).await;
        })
        .await;
    let known = (Some(key("b")), Some(world.machines.id(&node)));
    assert_eq!((record().host_key, record().id), known);
    assert!(world.machines.restarted().is_empty(), "it never answered before");
}
