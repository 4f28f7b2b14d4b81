//! The topic `LoadBalancer`.

use std::time::Duration;

use common::failure::FailureCode;
use common::id::RequestId;
use common::message::LoadBalancerCommand;
use common::record::deployment::{Goal, State};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde_json::json;
use testkit::bus::Availability;
use tokio::time::Instant;
use uuid::Uuid;

use crate::world::{World, name, until, wanted};

fn scale(replicas: u32) -> LoadBalancerCommand {
    LoadBalancerCommand::Scale { instance: name("shop"), replicas }
}

fn deployed() -> World {
    let world = World::new();
    world.deploy("shop", Goal::Running, State::Running);
    world
}

#[tokio::test(start_paused = true)]
async fn a_scale_is_done_once_the_route_serves_as_many() {
    let world = deployed();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.send(1, &scale(3));
            until("the number is recorded", || world.scale("shop").is_some()).await;
            assert_eq!(world.scale("shop").unwrap()["replicas"], 3);
            api.set(&wanted("shop", 1, &[20000, 20001])).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(world.events(), []);
            api.set(&wanted("shop", 1, &[20000, 20001, 20002])).await;
            assert_eq!(world.told(1).await, ["done scale app$shop$3"]);
            let request = RequestId(Uuid::from_u128(1));
            let operation = path::operation(request, ServiceName::LoadBalancer, "scale-app");
            let ended = || world.value(&operation).unwrap()["outcome"]["is"] == "SUCCEEDED";
            until("the outcome is remembered", ended).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_has_no_effect_and_gets_the_same_answer() {
    let world = deployed();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000, 20001])).await;
            world.send(1, &scale(2));
            world.told(1).await;
            world.send(2, &scale(1));
            until("the newer number is recorded", || world.scale("shop").unwrap()["replicas"] == 1)
                .await;
            world.send(1, &scale(2));
            assert_eq!(world.told(2).await, ["done scale app$shop$2", "done scale app$shop$2"]);
            let told = world.bus.records(Topic::FirstTopic);
            assert_eq!(told[0].record.headers, told[1].record.headers);
            assert_eq!(world.scale("shop").unwrap()["replicas"], 1);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_id_used_for_something_else_is_a_dead_letter() {
    let world = deployed();
    world
        .live(async |_| {
            world.send(1, &scale(2));
            world.send(1, &scale(3));
            let dead =
                world.bus.wait_for(Topic::LoadBalancer.dead_letter(), |all| !all.is_empty()).await;
            let reason =
                String::from_utf8(dead[0].record.header("reason").unwrap().to_vec()).unwrap();
            assert!(reason.starts_with("MSG_ID_CONFLICT"), "{reason}");
            assert_eq!(world.scale("shop").unwrap()["replicas"], 2);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_scaled_is_answered_and_recorded_nowhere() {
    let world = World::new();
    world.deploy("blog", Goal::Running, State::Running);
    world
        .live(async |_| {
            world.send(1, &scale(2));
            let blog = |replicas| LoadBalancerCommand::Scale { instance: name("blog"), replicas };
            world.send(2, &blog(0));
            world.send(3, &blog(21));
            let told = world.told(3).await;
            let starts = [
                "not done scale app$shop$2 Error - UNKNOWN_INSTANCE: ",
                "not done scale app$blog$0 Error - REPLICAS_OUT_OF_BOUNDS: ",
                "not done scale app$blog$21 Error - REPLICAS_OUT_OF_BOUNDS: ",
            ];
            for (text, start) in told.iter().zip(starts) {
                assert!(text.starts_with(start), "{text}");
            }
            assert_eq!((world.scale("shop"), world.scale("blog")), (None, None));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_scale_that_does_not_happen_is_told_to_have_failed() {
    let world = deployed();
    world.live(async |api| {
        api.set(&wanted("shop", 1, &[20000])).await;
        let started = Instant::now();
        world.send(1, &scale(2));
        let told = world.told(1).await;
        assert!((118..=125).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
        let code = FailureCode::DeadlineExceeded;
        assert_eq!(
            told,
            [format!("not done scale app$shop$2 Error - {code}: after 120 s 1 of 2 replicas get requests")]
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_scale_takes_the_place_of_one_under_way() {
    let world = deployed();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.send(1, &scale(3));
            world.send(2, &scale(2));
            let told = world.told(1).await;
            assert!(
                told[0].starts_with("not done scale app$shop$3 Error - SUPERSEDED: "),
                "{told:?}"
            );
            api.set(&wanted("shop", 1, &[20000, 20001])).await;
            assert_eq!(world.told(2).await[1], "done scale app$shop$2");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_instance_ends_its_scale_and_forgets_the_number() {
    let world = deployed();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.send(1, &scale(3));
            until("the number is recorded", || world.scale("shop").is_some()).await;
            world.deploy("shop", Goal::Stopped, State::Stopping);
            let told = world.told(1).await;
            assert!(told[0].starts_with("not done scale app$shop$3 Error - UNKNOWN_INSTANCE: "));
            until("the number is forgotten", || world.scale("shop").is_none()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_number_that_was_wanted_before_a_stop_is_forgotten_though_it_is_deployed_again() {
    let world = deployed();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            world.send(1, &scale(3));
            until("the number is recorded", || world.scale("shop").is_some()).await;
            assert_eq!(world.scale("shop").unwrap()["deployment"], 1);
            // A stop and a deploy that nobody saw one by one.
            world.deploy_anew(3, "shop");
            let told = world.told(1).await;
            assert!(told[0].starts_with("not done scale app$shop$3 Error - UNKNOWN_INSTANCE: "));
            until("the number is forgotten", || world.scale("shop").is_none()).await;
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn while_the_bus_is_down_an_end_is_owed() {
    let world = deployed();
    world
        .live(async |api| {
            world.send(1, &scale(2));
            until("the number is recorded", || world.scale("shop").is_some()).await;
            world.bus.set_availability(Availability::Down);
            assert_eq!(api.set(&wanted("shop", 1, &[20000, 20001])).await.status, 200);
            let owes = || world.scale("shop").unwrap()["owed"] != json!([]);
            until("the end is owed", owes).await;
            world.bus.set_availability(Availability::Up);
            assert_eq!(world.told(1).await, ["done scale app$shop$2"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_status_tells_what_is_served() {
    let world = deployed();
    world
        .live(async |api| {
            let status = LoadBalancerCommand::Status { instance: name("shop") };
            world.send(1, &status);
            assert!(
                world.told(1).await[0].starts_with("not done status app$shop Error - UNKNOWN_")
            );
            api.set(&wanted("shop", 1, &[20000])).await;
            world.send(2, &status);
            let told = world.told(2).await[1].clone();
            let text = told.strip_prefix("done status app$shop$").unwrap();
            let text: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(text["endpoint"], "192.0.2.10:2000");
            assert_eq!(text["replicas"], json!(["192.0.2.1:20000"]));
            assert_eq!(text["served"], true);
            // The same request later: the same answer, whatever is served by now.
            api.remove("shop", 1).await;
            world.send(2, &status);
            assert_eq!(world.told(3).await[2], told);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_is_a_dead_letter_and_the_next_message_is_read() {
    let world = deployed();
    world
        .live(async |_| {
            let mut envelope = scale(2).envelope(Topic::FirstTopic, RequestId(Uuid::from_u128(1)));
            for text in
                ["scale app$shop", "scale app$shop$-1", "scale app$shop$2$3", "grow app$shop$2"]
            {
                text.clone_into(&mut envelope.msg);
                world.bus.inject(&envelope);
            }
            world.send(2, &scale(2));
            until("the number is recorded", || world.scale("shop").is_some()).await;
            assert_eq!(world.bus.records(Topic::LoadBalancer.dead_letter()).len(), 4);
        })
        .await;
}
