//! Bad records on every topic that a service reads: a dead letter with the exact code, at once, and the
//! service goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use common::id::RequestId;
use common::port::bus::{Delivery, Offset};
use common::topic::Topic;
use e2e::bus::{Injector, envelope, new_request};
use e2e::bystander::Bystander;
use e2e::corpus::messages::{BadMessage, TOPICS, bad_messages, contradiction};
use e2e::corpus::names::{RESERVED, not_of_apps};
use e2e::dead_letters::DeadLetters;
use e2e::foreign::{Foreign, Sent};
use e2e::platform::User;
use e2e::refusal::Wrongs;
use futures::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde_json::Value;
use testkit::raw_zip::{RawEntry, RawZip};

use crate::c_archives::upload;
use crate::{SOON, cluster_is_ready};

/// An app that is made and never deployed.
const IDLE: &str = "idle";

fn plain(payload: impl Into<Vec<u8>>) -> Sent {
    Sent { payload: payload.into(), ..Sent::default() }
}

/// Sends all that a topic must refuse, one after the other.
async fn refuse_all(topic: Topic) -> Wrongs {
    let mut wrongs = Wrongs::default();
    let mut letters = DeadLetters::of(topic).await.unwrap();
    let before = letters.counted().await.unwrap();
    let mut sent = 0;
    for BadMessage { what, payload, code } in bad_messages(topic) {
        sent += 1;
        match letters.reason(&plain(payload)).await {
            Ok(reason) if reason.starts_with(&format!("{code}: ")) && reason.len() < 300 => {}
            Ok(reason) => wrongs.note(format!("{topic}, {what}: {reason}, not {code}")),
            Err(err) => wrongs.note(format!("{topic}, {what}: {err:#}, not {code}")),
        }
    }
    for (what, one, code) in oversized() {
        sent += 1;
        match letters.reason(&one).await {
            Ok(reason) if reason.starts_with(&format!("{code}: ")) => {}
            found => wrongs.note(format!("{topic}, {what}: {found:?}, not {code}")),
        }
    }
    let [first, second] = contradiction(topic, new_request(), IDLE);
    letters.send(&plain(first)).await.unwrap();
    sent += 1;
    match letters.reason(&plain(second)).await {
        Ok(reason) if reason.starts_with("MSG_ID_CONFLICT: ") => {}
        found => wrongs.note(format!("{topic}, B-M3 an id used twice: {found:?}")),
    }
    if let Err(err) = letters.passed().await {
        wrongs.note(format!("{topic}: {err:#}"));
    }
    let counted = letters.counted().await.unwrap() - before;
    if counted != sent {
        wrongs.note(format!("{topic}: {sent} records were refused, {counted} were counted"));
    }
    wrongs
}

/// B-M2, and records that are large elsewhere than in their payload.
fn oversized() -> Vec<(&'static str, Sent, &'static str)> {
    let large = |size| plain(vec![b' '; size]);
    let header = |name, size| (name, vec![b'x'; size]);
    let text = || plain(b"not json".to_vec());
    let whole = envelope(Topic::Scheduler, new_request(), "deploy app$x");
    vec![
        ("B-M2 one byte more than is taken", large(256 * 1024 + 1), "MSG_TOO_LARGE"),
        ("B-M2 1,000,000 bytes", large(1_000_000), "MSG_TOO_LARGE"),
        ("large header", Sent { headers: vec![header("x", 900_000)], ..text() }, "MSG_MALFORMED"),
        ("many headers", Sent { headers: vec![header("x", 9); 20_000], ..text() }, "MSG_MALFORMED"),
        ("large key", Sent { key: Some(vec![b'k'; 900_000]), ..text() }, "MSG_MALFORMED"),
        ("key that is no text", Sent { key: Some(vec![0xff; 9]), ..text() }, "MSG_MALFORMED"),
        ("forged reason", Sent { headers: vec![header("reason", 3)], ..text() }, "MSG_MALFORMED"),
        (
            "hostile headers",
            Sent {
                headers: vec![
                    ("message-id", b"../../x".to_vec()),
                    ("details", b"{\"a\":".repeat(10_000)),
                    ("traceparent", vec![0xff, 0, b'\n']),
                ],
                ..plain(whole)
            },
            "ENVELOPE_WRONG_TOPIC",
        ),
    ]
}

#[tokio::test]
async fn what_nobody_can_read_becomes_a_dead_letter_on_every_topic() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let idle = RawZip::of([RawEntry::stored("main.py", b"print()")]).bytes();
    let made = upload(&user, IDLE, idle).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let bystander = Bystander::watch(&user).await.unwrap();
    for wrongs in join_all(TOPICS.map(refuse_all)).await {
        wrongs.none().unwrap();
    }
    // As far as anybody heard, the idle app was deployed elsewhere; now it is stopped again.
    let stopped = envelope(Topic::FirstTopic, new_request(), &format!("done stopped${IDLE}"));
    let foreign = Foreign::connect().unwrap();
    foreign.send(Topic::FirstTopic, &plain(stopped)).await.unwrap();
    bystander.unharmed(0..=0).await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_far_too_large_is_refused_before_it_is_on_the_bus() {
    cluster_is_ready().await;
    let injector = Injector::connect().unwrap();
    let foreign = Foreign::connect().unwrap();
    for topic in TOPICS {
        let ours = injector.send_raw(topic, &vec![b' '; 256 * 1024 + 1]).await;
        assert!(ours.unwrap_err().to_string().contains("262145"), "our own producer has a cap");
        let theirs = foreign.send(topic, &plain(vec![b' '; 50 << 20])).await;
        let too_large = RDKafkaErrorCode::MessageSizeTooLarge;
        assert_eq!(theirs, Err(KafkaError::MessageProduction(too_large)), "so has the broker");
    }
}

#[tokio::test]
async fn a_name_that_no_app_can_have_is_answered_with_a_code() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let injector = Injector::connect().unwrap();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    let names: Vec<String> = not_of_apps().into_iter().map(|name| name.text).collect();
    let names = names.into_iter().chain(RESERVED.map(str::to_owned));
    let mut asked = Vec::new();
    for name in names {
        let deploy = format!("App {name} not deployed. Error - APP_UNKNOWN: ");
        let stop = format!("App {name} not stopped. Error - UNKNOWN_INSTANCE: ");
        let scale = format!("not done scale app${name}$2 Error - UNKNOWN_INSTANCE: ");
        let verbs = [
            (Topic::DeploymentManager, format!("deploy app${name}"), deploy),
            (Topic::DeploymentManager, format!("stop app${name}"), stop),
            (Topic::LoadBalancer, format!("scale app${name}$2"), scale),
        ];
        for (topic, text, answer) in verbs {
            let id = new_request();
            injector.send(topic, id, &text).await.unwrap();
            asked.push((text, id, answer));
        }
    }
    let answers = answers(&injector, from, asked.iter().map(|(_, id, _)| *id)).await;
    let mut wrongs = Wrongs::default();
    for (text, id, wanted) in asked {
        match answers.get(&id.to_string()) {
            Some(found) if found.starts_with(&wanted) => {}
            found => wrongs.note(format!("{text}: {found:?}, not {wanted}")),
        }
    }
    wrongs.none().unwrap();
    bystander.unharmed(0..=0).await.unwrap();
}

/// The first answer to each of these requests, by id.
async fn answers(
    injector: &Injector,
    from: Offset,
    asked: impl Iterator<Item = RequestId>,
) -> BTreeMap<String, String> {
    let missing: BTreeSet<String> = asked.map(|id| id.to_string()).collect();
    let found = Mutex::new((missing, BTreeMap::new()));
    let note = |_: &Delivery, body: &Value| {
        let mut found = found.lock().unwrap();
        let id = body["request_id"].as_str()?;
        if found.0.remove(id) {
            found.1.insert(id.to_owned(), body["msg"].to_string().trim_matches('"').to_owned());
        }
        found.0.is_empty().then_some(())
    };
    // What did not come is told by who asked for it.
    drop(injector.find(&Topic::FirstTopic.into(), from, SOON, note).await);
    found.into_inner().unwrap().1
}
