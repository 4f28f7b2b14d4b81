//! Requests are accepted once and end once.

use bytes::Bytes;
use common::failure::FailureCode;
use common::id::RequestId;
use common::message::{DeploymentCommand, Envelope, NodeAnswer};
use common::port::bus::Record;
use common::port::nodes::Probe;
use common::record::deployment::State;
use common::record::operation::Outcome;
use common::topic::Topic;
use testkit::bus::{Availability, FailureMode};
use uuid::Uuid;

use crate::node_manager::{Placement, choice};
use crate::world::{World, image, name, node, until};

#[tokio::test(start_paused = true)]
async fn a_message_a_thousand_times_is_one_deploy() {
    let world = World::new();
    for _ in 0..1000 {
        world.deploy(1, "shop");
    }
    world
        .live(async {
            world.told(1).await;
            world.bus.wait_until_consumed(Topic::DeploymentManager, "deployment-manager").await;
            world.settled("shop").await;
        })
        .await;
    assert_eq!(world.deployment("shop").unwrap().generation.0, 1);
    world.assert_exact("shop", 1, "deployed");
    assert_eq!(world.ends(1).len(), 1);
    assert_eq!((world.counted("SUCCEEDED"), world.counted("SUPERSEDED")), (1.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_answered_with_the_stored_outcome_after_a_restart_as_well() {
    let world = World::new();
    world.live(world.deployed(1, "shop")).await;
    world.bus.forget_position(Topic::DeploymentManager, "deployment-manager");
    world
        .live(async {
            world.bus.wait_for(Topic::FirstTopic, |records| records.len() >= 2).await;
        })
        .await;
    assert_eq!(world.ends(1).len(), 1, "the same message again, under the same id");
    assert_eq!(world.deployment("shop").unwrap().generation.0, 1);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_used_for_something_else_goes_to_the_dead_letters() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.deploy(1, "other");
            let dead = Topic::DeploymentManager.dead_letter();
            let letters = world.bus.wait_for(dead, |records| !records.is_empty()).await;
            let reason = letters[0].record.header("reason").unwrap().to_vec();
            assert!(String::from_utf8(reason).unwrap().starts_with("MSG_ID_CONFLICT"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_goes_to_the_dead_letters_and_holds_nobody_up() {
    let world = World::new();
    let poison = Record { key: None, headers: Vec::new(), payload: Bytes::from_static(b"\xff{") };
    world.bus.inject_record(Topic::DeploymentManager, poison);
    let mut unknown = DeploymentCommand::Stop { instance: name("shop") }
        .envelope(Topic::FirstTopic, RequestId(Uuid::from_u128(8)));
    "explode$shop".clone_into(&mut unknown.msg);
    world.bus.inject(&unknown);
    world.live(world.deployed(1, "shop")).await;
    let dead = world.bus.records(Topic::DeploymentManager.dead_letter());
    let reasons: Vec<String> = dead
        .iter()
        .map(|letter| String::from_utf8_lossy(letter.record.header("reason").unwrap()).into_owned())
        .collect();
    assert!(reasons[0].starts_with("MSG_MALFORMED"), "{reasons:?}");
    assert!(reasons[1].starts_with("MSG_UNKNOWN_KIND"), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_is_refused_once() {
    let world = World::new();
    let text = "App nothing not deployed. Error - APP_UNKNOWN: there is neither an instance nor an app of this name";
    world
        .live(async {
            world.deploy(1, "nothing");
            assert_eq!(world.told(1).await, text);
            world.deploy(2, "Legacy_Name");
            assert!(world.told(2).await.contains("APP_UNKNOWN"));
            world.stop(3, "nothing");
            let told = world.told(3).await;
            assert_eq!(
                told,
                "App nothing not stopped. Error - UNKNOWN_INSTANCE: there is no instance of this name"
            );
        })
        .await;
    assert_eq!(world.deployment("nothing"), None);
    let outcome = world.outcome(1, "deploy-app");
    assert!(
        matches!(outcome, Some(Outcome::Failed { failure, .. }) if failure.code == FailureCode::AppUnknown)
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_without_releases_has_nothing_to_deploy() {
    let world = World::new();
    world.write_app("empty", 0);
    world
        .live(async {
            world.deploy(1, "empty");
            let told = world.told(1).await;
            let text =
                "App empty not deployed. Error - RELEASE_UNKNOWN: the app empty has no release 0";
            assert_eq!(told, text);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_deploy_takes_the_place_of_one_under_way() {
    let world = World::new();
    world.set_placement(Placement::Silent);
    world
        .live(async {
            world.deploy(1, "shop");
            until("it is under way", || world.deployment("shop").is_some()).await;
            world.set_placement(Placement::Spread);
            world.deploy(2, "shop");
            assert_eq!(world.told(2).await, "done shop deploy - 192.0.2.10:2000");
            let superseded = "App shop not deployed. Error - SUPERSEDED: a newer request for this instance took its place";
            assert_eq!(world.told(1).await, superseded);
            world.settled("shop").await;
        })
        .await;
    assert_eq!(world.outcome(1, "deploy-app"), Some(Outcome::Superseded));
    assert_eq!(world.deployment("shop").unwrap().generation.0, 2);
    world.assert_exact("shop", 1, "deployed");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_overtaken_deploy_is_told_though_its_question_is_answered_before() {
    let world = World::new();
    world.set_placement(Placement::Silent);
    world
        .live(async {
            world.deploy(1, "shop");
            until("it is under way", || world.deployment("shop").is_some()).await;
            world.bus.wait_for(Topic::NodeManager, |records| !records.is_empty()).await;
            world.bus.fail_next_publishes(3, FailureMode::Refused);
            world.deploy(2, "shop");
            let node = Ok(choice(&node("node-1"), 20500));
            let answer = NodeAnswer { instance: name("shop"), node };
            world.send(1, &DeploymentCommand::AnswerNode(answer));
            assert!(world.told(1).await.contains("SUPERSEDED"));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_waits_for_change_nothing() {
    let world = World::new();
    let answer = |request: u128, port| {
        let node = Ok(choice(&node("node-1"), port));
        let answer = NodeAnswer { instance: name("shop"), node };
        world.send(request, &DeploymentCommand::AnswerNode(answer));
    };
    world
        .live(async {
            answer(1, 20500);
            world.bus.wait_until_consumed(Topic::DeploymentManager, "deployment-manager").await;
            world.deployed(1, "shop").await;
            let before = world.deployment("shop");
            answer(1, 20501);
            answer(7, 20502);
            world.bus.wait_until_consumed(Topic::DeploymentManager, "deployment-manager").await;
            assert_eq!(world.deployment("shop"), before);
        })
        .await;
    world.assert_exact("shop", 1, "deployed");
    let dead = world.bus.records(Topic::DeploymentManager.dead_letter());
    assert_eq!(dead.len(), 1, "only what says something else than was taken");
    assert!(dead[0].record.header("reason").unwrap().starts_with(b"MSG_ID_CONFLICT"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_question_is_asked_again_under_the_same_id() {
    let world = World::new();
    world.set_placement(Placement::Silent);
    world
        .live(async {
            world.deploy(1, "shop");
            world.bus.wait_for(Topic::NodeManager, |records| records.len() >= 3).await;
            world.set_placement(Placement::Spread);
            world.told(1).await;
            world.settled("shop").await;
        })
        .await;
    let asked: Vec<Envelope> = world.bus.messages(Topic::NodeManager);
    assert!(asked.iter().all(|one| *one == asked[0]), "{asked:?}");
    world.assert_exact("shop", 1, "deployed");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_waits_for_the_bus() {
    let world = World::new();
    let quiet = || Probe::NotListening { listening: Vec::new() };
    let slow = std::iter::repeat_with(quiet).take(20).chain([Probe::Healthy]);
    world.nodes.script_probes(&image(2), slow);
    world
        .live(async {
            world.deploy(1, "shop");
            until("it is started", || {
                world.deployment("shop").is_some_and(|shop| shop.state == State::Starting)
            })
            .await;
            world.bus.set_availability(Availability::Down);
            until("it runs", || {
                world.deployment("shop").is_some_and(|shop| shop.state == State::Running)
            })
            .await;
            assert_eq!(world.bus.records(Topic::FirstTopic).len(), 0);
            world.bus.fail_next_publishes(2, FailureMode::EffectHappened);
            world.bus.set_availability(Availability::Up);
            world.told(1).await;
            world.settled("shop").await;
        })
        .await;
    assert_eq!(world.ends(1).len(), 1);
}
