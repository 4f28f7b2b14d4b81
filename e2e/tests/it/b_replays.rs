//! Every message of every topic once more: the same after a restart, in reverse order and twice; then under
//! the same id with another body. Nothing changes, and nobody is told anything new.

use std::collections::BTreeSet;
use std::time::Duration;

use common::port::bus::Offset;
use common::topic::Topic;
use e2e::bus::{Injector, new_request};
use e2e::cluster::{self, SERVICES};
use e2e::platform::{User, sample};
use e2e::truth;
use serde_json::Value;

use crate::{BUILD_WITHIN, all_is_true_and_settled, cluster_is_ready};

/// The topics that services read.
const TOPICS: [Topic; 4] =
    [Topic::DeploymentManager, Topic::NodeManager, Topic::LoadBalancer, Topic::FirstTopic];
const APP: &str = "replayed";
const NOBODY: &str = "nobody-is-replayed";
/// What the story must have said at least.
const VERBS: [&str; 11] = [
    "deploy app$",
    "stop app$",
    "give best node$",
    "ans-node$",
    "scale app$",
    "status app$",
    "done replayed deploy",
    "done stopped$",
    "not deployed",
    "not stopped",
    "not done ",
];
/// Names of the same length, of which nothing was ever said.
const OTHERS: [(&str, &str); 2] = [(APP, "replayee"), (NOBODY, "nobody-is-replayee")];

/// The payload of a dead letter and the code of its reason.
type Refused = (Topic, String, String);

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).unwrap()
}

/// What a topic and its dead letters held, to read on from there.
struct Marks(Vec<(Topic, Offset, Offset)>);

impl Marks {
    async fn set(injector: &Injector) -> Self {
        let mut marks = Vec::new();
        for topic in TOPICS {
            let said = injector.end(&topic.into()).await.unwrap();
            marks.push((topic, said, injector.end(&topic.dead_letter()).await.unwrap()));
        }
        Marks(marks)
    }

    /// What was said since, oldest first.
    async fn said(&self, injector: &Injector) -> Vec<(Topic, String)> {
        let mut all = Vec::new();
        for (topic, from, _) in &self.0 {
            let said = injector.all(&(*topic).into(), *from).await.unwrap();
            all.extend(said.into_iter().map(|said| (*topic, text(&said.record.payload))));
        }
        all
    }

    /// What was refused since.
    async fn refused(&self, injector: &Injector) -> BTreeSet<Refused> {
        let mut all = BTreeSet::new();
        for (topic, _, from) in &self.0 {
            for letter in injector.all(&topic.dead_letter(), *from).await.unwrap() {
                let reason = letter.record.header("reason").unwrap_or_default();
                let code = String::from_utf8_lossy(reason).split(':').next().unwrap().to_owned();
                all.insert((*topic, text(&letter.record.payload), code));
            }
        }
        all
    }
}

/// Has every message said that the platform knows, with good ends and bad ones; in the end the app runs.
async fn tell_a_story(user: &User, injector: &Injector) {
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    user.deploy(&sample("hello"), APP, 1).await.unwrap();
    user.does(&["scale", APP, "2"]).await.unwrap();
    let by_hand = [
        (Topic::LoadBalancer, format!("status app${APP}"), "done status app$"),
        (Topic::LoadBalancer, format!("scale app${NOBODY}$2"), "not done scale app$"),
        (Topic::DeploymentManager, format!("deploy app${NOBODY}"), "App "),
        (Topic::DeploymentManager, format!("stop app${NOBODY}"), "App "),
        (Topic::DeploymentManager, format!("deploy app${APP}"), "done replayed deploy - "),
    ];
    for (topic, text, expected) in by_hand {
        let id = new_request();
        injector.send(topic, id, &text).await.unwrap();
        let answer = injector.answer(id, from, BUILD_WITHIN).await.unwrap();
        assert!(answer.starts_with(expected), "{text}: {answer}");
    }
    user.does(&["stop", APP]).await.unwrap();
    user.deploy(&sample("hello"), APP, 2).await.unwrap();
}

/// Whether the platform remembers what a record said: the answer to a question about an instance's status, and
/// the end of a scale that the app manager never heard of, change nothing and are not remembered.
fn is_remembered(topic: Topic, payload: &str) -> bool {
    let body: Value = serde_json::from_str(payload).unwrap();
    let msg = body["msg"].as_str().unwrap();
    topic != Topic::FirstTopic
        || !(msg.starts_with("done status app$")
            || (msg.contains("scale app$") && msg.contains(NOBODY)))
}

#[tokio::test]
async fn every_message_again_changes_nothing_and_with_another_body_it_is_refused() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let injector = Injector::connect().unwrap();
    let story = Marks::set(&injector).await;
    tell_a_story(&user, &injector).await;
    all_is_true_and_settled().await;
    let said = story.said(&injector).await;
    for verb in VERBS {
        assert!(said.iter().any(|(_, text)| text.contains(verb)), "the story has no {verb}");
    }
    let before = truth::read().await.unwrap().of(APP);
    assert_eq!(before.len(), 2, "{before:?}");

    for (service, _) in SERVICES {
        cluster::kill(service).await.unwrap();
    }
    for (service, _) in SERVICES {
        cluster::start(service).await.unwrap();
    }
    cluster::ready(Duration::from_mins(2)).await.unwrap();
    let again = Marks::set(&injector).await;
    for _ in 0..2 {
        for (topic, payload) in said.iter().rev() {
            injector.send_raw(*topic, payload.as_bytes()).await.unwrap();
        }
    }
    all_is_true_and_settled().await;
    assert_eq!(again.refused(&injector).await, BTreeSet::new(), "a repeat is no conflict");
    assert_eq!(truth::read().await.unwrap().of(APP), before, "the same containers run on");

    let another = Marks::set(&injector).await;
    let mut conflicts = BTreeSet::new();
    for (topic, payload) in &said {
        let mut other = payload.clone();
        for (name, stranger) in OTHERS {
            other = other.replace(name, stranger);
        }
        injector.send_raw(*topic, other.as_bytes()).await.unwrap();
        if is_remembered(*topic, payload) {
            conflicts.insert((*topic, other, "MSG_ID_CONFLICT".to_owned()));
        }
    }
    all_is_true_and_settled().await;
    assert_eq!(another.refused(&injector).await, conflicts);
    let truth = truth::read().await.unwrap();
    assert_eq!(truth.of(APP), before, "the same containers run on");
    assert!(OTHERS.iter().all(|(_, stranger)| !truth.instances.contains_key(*stranger)));
    user.does(&["stop", APP]).await.unwrap();
}
