//! Receivers outside of the platform.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::bus::Availability;
use testkit::webhooks::Fault;
use tokio::time::Instant;

use crate::world::{World, seconds, until};

fn world() -> World {
    let mut world = World::with_everything();
    world.receivers = vec!["pager"];
    world
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_told_of_the_beginning_and_the_end_with_exactly_these_members() {
    let world = world();
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            until(async || world.webhooks.told().len() == 1).await;
            world.comes_back("load_balancer");
            until(async || world.webhooks.told().len() == 2).await;
        })
        .await;
    let told = world.webhooks.told();
    let bodies: Vec<Value> =
        told.iter().map(|(_, notice)| serde_json::from_slice(&notice.body).unwrap()).collect();
    let incident = bodies[0]["incident"].clone();
    let opened = json!({
        "incident": incident, "kind": "service", "name": "load_balancer", "verdict": "down",
        "since": bodies[0]["since"],
        "text": "service load_balancer is down: 3 of its last 5 looks failed, the last because nobody answered",
    });
    assert_eq!(bodies[0], opened);
    assert_eq!(bodies[1]["incident"], incident);
    assert_eq!(bodies[1]["verdict"], "up");
    for (receiver, notice) in &told {
        assert_eq!(receiver, "pager");
        let text = String::from_utf8(notice.body.to_vec()).unwrap();
        assert!(!text.contains("192.0.2."), "{text}");
    }
    assert_ne!(told[0].1.id, told[1].1.id);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_is_tried_again_later_and_later_under_the_same_id() {
    let world = world();
    world.webhooks.fail("pager", 6, Fault::Refused(500));
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            until(async || world.webhooks.attempts() == 1).await;
            let began = Instant::now();
            until(async || world.webhooks.told().len() == 1).await;
            // Half of 1 + 2 + 4 + 8 + 16 + 32 s at least.
            assert!(began.elapsed().as_secs() >= 31, "{:?}", began.elapsed());
            assert_eq!(world.webhooks.attempts(), 7);
            seconds(600).await;
            assert_eq!(world.webhooks.attempts(), 7);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_whose_answer_is_lost_is_told_again_under_the_same_id() {
    let world = world();
    world.webhooks.fail("pager", 2, Fault::AnswerLost);
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            until(async || world.webhooks.told().len() == 3).await;
        })
        .await;
    let told = world.webhooks.told();
    let distinct: BTreeSet<_> = told.iter().map(|(_, notice)| (notice.id, &notice.body)).collect();
    assert_eq!(distinct.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_the_request_repeats_it_under_the_same_id_and_body() {
    let world = world();
    world.webhooks.fail("pager", 1, Fault::AnswerStuck);
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            until(async || world.webhooks.told().len() == 1).await;
        })
        .await;
    world.during(until(async || world.webhooks.told().len() == 2)).await;
    let told = world.webhooks.told();
    assert_eq!(told[0], told[1]);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_after_the_beginning_and_one_receiver_waits_for_no_other() {
    let mut world = world();
    world.receivers = vec!["pager", "chat"];
    world.webhooks.fail("pager", 4, Fault::Refused(503));
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            until(async || world.webhooks.told().len() == 1).await;
            assert_eq!(world.webhooks.told()[0].0, "chat");
            world.comes_back("load_balancer");
            until(async || world.webhooks.told().len() == 4).await;
        })
        .await;
    let of = |receiver: &str| -> Vec<String> {
        let told = world.webhooks.told();
        let own = told.iter().filter(|(other, _)| other == receiver);
        let verdict = |body: &[u8]| {
            let body: Value = serde_json::from_slice(body).unwrap();
            body["verdict"].as_str().unwrap().to_owned()
        };
        own.map(|(_, notice)| verdict(&notice.body)).collect()
    };
    assert_eq!(of("pager"), ["down", "up"]);
    assert_eq!(of("chat"), ["down", "up"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_told_while_the_bus_is_away() {
    let world = world();
    world
        .during(async {
            world.until_all_up().await;
            world.bus.set_availability(Availability::Down);
            world.dies("load_balancer");
            until(async || world.webhooks.told().len() == 1).await;
            assert_eq!(world.restarted(), Vec::<String>::new());
            for _ in 0..5 {
                world.bus.set_availability(Availability::Down);
                seconds(37).await;
                world.bus.set_availability(Availability::Up);
                let before = world.restarted().len();
                until(async || world.restarted().len() > before).await;
                seconds(14).await;
                // However long it waited for the bus: the next one comes a wait after it.
                assert_eq!(world.restarted().len(), before + 1);
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_away_for_a_day_is_given_up_and_nothing_is_left_owed() {
    let world = world();
    world.webhooks.set_down(true);
    world
        .during(async {
            world.until_all_up().await;
            world.dies("load_balancer");
            until(async || world.webhooks.attempts() > 2).await;
            world.comes_back("load_balancer");
            world.until_verdict("service", "load_balancer", "up").await;
            world.clock.advance(jiff::SignedDuration::from_hours(25));
            let is_told = async || {
                let incidents = world.records("incidents");
                incidents.iter().all(|incident| incident["notices"] == json!([]))
            };
            until(is_told).await;
            assert_eq!(world.webhooks.told(), []);
        })
        .await;
}
