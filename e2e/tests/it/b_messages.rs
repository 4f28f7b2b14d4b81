//! Messages twice, with another body, after a restart, out of order, and malformed.

use std::time::Duration;

use common::port::bus::Offset;
use common::topic::Topic;
use e2e::bus::{Injector, envelope, new_request};
use e2e::cluster;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;

use crate::{SOON, cluster_is_ready};

const TOPIC: Topic = Topic::DeploymentManager;

async fn dead_letter(injector: &Injector, from: Offset, text: &str) -> String {
    let topic = TOPIC.dead_letter();
    let found = injector.find(&topic, from, SOON, |delivery, _| {
        let same = delivery.record.payload.as_ref() == text.as_bytes();
        same.then(|| {
            String::from_utf8_lossy(delivery.record.header("reason").unwrap_or_default())
                .into_owned()
        })
    });
    found.await.unwrap()
}

#[tokio::test]
async fn a_repeat_has_no_effect_before_and_after_a_restart_and_a_reused_id_is_refused() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "repeated", 1).await.unwrap();
    let injector = Injector::connect().unwrap();
    let letters = injector.end(&TOPIC.dead_letter()).await.unwrap();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    let (id, text) = (new_request(), "deploy app$repeated");
    for _ in 0..3 {
        injector.send(TOPIC, id, text).await.unwrap();
    }
    let answer = injector.answer(id, from, SOON).await.unwrap();
    assert!(answer.starts_with("done repeated deploy - "), "{answer}");
    let containers = async || {
        let truth = truth::read().await.unwrap();
        truth
            .containers
            .into_iter()
            .filter(|container| container.instance == "repeated")
            .collect::<Vec<_>>()
    };
    let settled = async || truth::read().await?.is_consistent();
    wait::until("one container stays", SOON, settled).await.unwrap();
    let before = containers().await;
    assert_eq!(before.len(), 1, "{before:?}");

    cluster::kill("deployment-manager").await.unwrap();
    cluster::start("deployment-manager").await.unwrap();
    cluster::ready(Duration::from_mins(2)).await.unwrap();
    injector.send(TOPIC, id, text).await.unwrap();
    let other = "deploy app$another";
    injector.send(TOPIC, id, other).await.unwrap();
    let conflict = dead_letter(&injector, letters, &envelope(TOPIC, id, other)).await;
    assert!(conflict.starts_with("MSG_ID_CONFLICT"), "{conflict}");
    assert_eq!(containers().await, before, "the same container runs on");
    user.does(&["stop", "repeated"]).await.unwrap();
}

#[tokio::test]
async fn what_nobody_can_read_becomes_a_dead_letter_with_its_reason() {
    cluster_is_ready().await;
    let injector = Injector::connect().unwrap();
    let from = injector.end(&TOPIC.dead_letter()).await.unwrap();
    let id = new_request();
    let deep = "[".repeat(10_000);
    let wrong_topic = envelope(Topic::NodeManager, id, "deploy app$x");
    let cases = [
        ("", "MSG_MALFORMED"),
        ("not json", "MSG_MALFORMED"),
        ("null", "MSG_MALFORMED"),
        ("[]", "MSG_MALFORMED"),
        (r#"{"to_topic":"DeploymentManager""#, "MSG_MALFORMED"),
        (&deep, "MSG_MALFORMED"),
        (&envelope(TOPIC, id, "deploy app$a$b$c"), "MSG_MALFORMED"),
        (&envelope(TOPIC, id, "deploy app$../../etc"), "MSG_MALFORMED"),
        (&envelope(TOPIC, id, "dance app$x"), "MSG_UNKNOWN_KIND"),
        (
            r#"{"to_topic":"DeploymentManager","from_topic":"first_topic","msg":"deploy app$x"}"#,
            "MSG_ID_INVALID",
        ),
        (
            r#"{"to_topic":"DeploymentManager","from_topic":"first_topic","request_id":"7","msg":"deploy app$x"}"#,
            "MSG_ID_INVALID",
        ),
        (&wrong_topic, "ENVELOPE_WRONG_TOPIC"),
    ];
    for (text, _) in cases {
        injector.send_raw(TOPIC, text.as_bytes()).await.unwrap();
    }
    for (text, code) in cases {
        let reason = dead_letter(&injector, from, text).await;
        assert!(reason.starts_with(code), "{text:.60}: {reason}");
    }
    injector.send_raw(TOPIC, &[0xff, 0xfe, 0x00]).await.unwrap();
    assert!(
        injector.send_raw(TOPIC, &vec![b' '; 300_000]).await.is_err(),
        "a message over the cap is refused by the sender"
    );
}

#[tokio::test]
async fn an_app_nobody_made_is_answered_with_a_code() {
    cluster_is_ready().await;
    let injector = Injector::connect().unwrap();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    let id = new_request();
    injector.send(TOPIC, id, "deploy app$nobody-made-this").await.unwrap();
    let answer = injector.answer(id, from, SOON).await.unwrap();
    assert!(
        answer.starts_with("App nobody-made-this not deployed. Error - APP_UNKNOWN"),
        "{answer}"
    );
    let id = new_request();
    injector.send(TOPIC, id, "stop app$nobody-made-this").await.unwrap();
    let answer = injector.answer(id, from, SOON).await.unwrap();
    assert!(
        answer.starts_with("App nobody-made-this not stopped. Error - UNKNOWN_INSTANCE"),
        "{answer}"
    );
    // Answers that nobody asked for, and answers before questions, are dropped without harm.
    let stray = "ans-node{'node_id': 'node-1', 'node_name': 'node-1', 'node_ip': '192.0.2.1', 'node_os': 'x', 'port': 20001, 'app_name': 'stray'}";
    injector.send(TOPIC, new_request(), &stray.replace("ans-node{", "ans-node${")).await.unwrap();
    let id = new_request();
    injector.send(TOPIC, id, "deploy app$nobody-made-this").await.unwrap();
    injector.answer(id, from, SOON).await.unwrap();
}
