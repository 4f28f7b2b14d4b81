//! B-M1, B-M3, B-M4 and B-M5, and hostile names in every verb: records that a topic must refuse.

use common::id::RequestId;
use common::topic::Topic;
use serde_json::{Value, json};

use super::names;
use crate::bus::{envelope, new_request};

const MALFORMED: &str = "MSG_MALFORMED";
const KIND: &str = "MSG_UNKNOWN_KIND";
const ID: &str = "MSG_ID_INVALID";
const WRONG_TOPIC: &str = "ENVELOPE_WRONG_TOPIC";

/// The topics that services read.
pub const TOPICS: [Topic; 4] =
    [Topic::DeploymentManager, Topic::NodeManager, Topic::LoadBalancer, Topic::FirstTopic];

/// One record, and the code with which it becomes a dead letter.
#[derive(Debug, Clone)]
pub struct BadMessage {
    pub what: String,
    pub payload: Vec<u8>,
    pub code: &'static str,
}

impl BadMessage {
    fn new(row: &str, form: &str, payload: impl Into<Vec<u8>>, code: &'static str) -> Self {
        let what = format!("{row} {:.60}", form.escape_debug().to_string());
        BadMessage { what, payload: payload.into(), code }
    }
}

/// What each verb of a topic says about `name`.
fn verbs(topic: Topic, name: &str) -> Vec<String> {
    let texts: &[&str] = match topic {
        Topic::DeploymentManager => &["deploy app$@", "stop app$@"],
        Topic::NodeManager => &["give best node$@"],
        Topic::LoadBalancer => &["scale app$@$2", "status app$@"],
        Topic::FirstTopic => &[
            "done @ deploy - 192.0.2.1:2000",
            "App @ not deployed. Error - APP_EXITED: it ended",
            "done stopped$@",
            "App @ not stopped. Error - DEADLINE_EXCEEDED: too late",
        ],
        Topic::Bootstrapper | Topic::Scheduler | Topic::LifecycleManager => &[],
    };
    texts.iter().map(|text| text.replace('@', name)).collect()
}

/// A message that the topic would take, about `name`.
fn good(topic: Topic, name: &str) -> String {
    verbs(topic, name).into_iter().next().unwrap_or_default()
}

/// Everything that `topic` must refuse and any client can send.
pub fn bad_messages(topic: Topic) -> Vec<BadMessage> {
    let mut all = unreadable(topic);
    all.extend(wrong_fields(topic));
    all.extend(dollars(topic));
    all.extend(hostile_names(topic));
    all
}

/// B-M1.
fn unreadable(topic: Topic) -> Vec<BadMessage> {
    let whole = envelope(topic, new_request(), &good(topic, "x"));
    let with = |fields: &str| whole.replacen('{', &format!("{{{fields},"), 1);
    let instead = |key: &str, value: &str| {
        let body: Value = serde_json::from_str(&whole).unwrap_or_default();
        whole.replace(&format!("\"{key}\":{}", body[key]), &format!("\"{key}\":{value}"))
    };
    let cut = whole.get(..whole.len() - 3).unwrap_or_default().to_owned();
    let utf_16: Vec<u8> = whole.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = "[".repeat(10_000);
    let texts = [
        ("empty", String::new()),
        ("white space", " \n".to_owned()),
        ("text", "not json".to_owned()),
        ("truncated", cut),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("array", "[]".to_owned()),
        ("the message in an array", format!("[{whole}]")),
        ("two messages", format!("{whole}{whole}")),
        ("10,000 deep", deep.clone()),
        ("10,000 deep in a field", with(&format!("\"x\":{deep}{}", "]".repeat(10_000)))),
        ("a huge number", instead("request_id", "1e999")),
        ("10,000 digits", instead("msg", &"9".repeat(10_000))),
        ("NaN", instead("msg", "NaN")),
        ("Infinity", instead("msg", "-Infinity")),
        ("a field twice", with("\"msg\":\"deploy app$other\"")),
        ("an id twice", with("\"request_id\":\"7\"")),
        ("an unknown field twice", with("\"x\":1,\"x\":2")),
        ("half a character", instead("msg", "\"deploy app$\\ud800\"")),
        ("no msg", instead("msg", "null")),
        ("msg is an object", instead("msg", "{}")),
        ("from nowhere", instead("from_topic", "\"nowhere\"")),
    ];
    let mut all: Vec<BadMessage> = texts
        .into_iter()
        .map(|(form, text)| BadMessage::new("B-M1", form, text, MALFORMED))
        .collect();
    all.push(BadMessage::new("B-M1", "not UTF-8", [0xff, 0xfe, 0x00], MALFORMED));
    all.push(BadMessage::new("B-M1", "UTF-16", utf_16, MALFORMED));
    let torn = [b"{\"msg\":\"".as_slice(), &[0xc3], b"\"}"].concat();
    all.push(BadMessage::new("B-M1", "half a character of UTF-8", torn, MALFORMED));
    all
}

/// B-M3 and B-M4.
fn wrong_fields(topic: Topic) -> Vec<BadMessage> {
    let text = good(topic, "x");
    let with_id = |id: Value| {
        let mut body =
            json!({ "to_topic": topic.as_str(), "from_topic": "first_topic", "msg": text });
        if !id.is_null() {
            body["request_id"] = id;
        }
        body.to_string()
    };
    let uuid = new_request().to_string();
    let ids = [
        ("no id", Value::Null),
        ("a number as id", json!(7)),
        ("a short id", json!("7")),
        ("an empty id", json!("")),
        ("an id without hyphens", json!(uuid.replace('-', ""))),
        ("an id in braces", json!(format!("{{{uuid}}}"))),
        ("an id and more", json!(format!("{uuid} "))),
        ("an id of 10,000 characters", json!("a".repeat(10_000))),
        ("a hostile id", json!("../../../../etc/passwd/-------------")),
    ];
    let mut all: Vec<BadMessage> =
        ids.map(|(form, id)| BadMessage::new("B-M3", form, with_id(id), ID)).to_vec();
    for text in ["dance app$x", "DEPLOY APP$x", " deploy app$x", "$x", "", "rm -rf /"] {
        let body = envelope(topic, new_request(), text);
        all.push(BadMessage::new("B-M3", &format!("kind {text:?}"), body, KIND));
    }
    for other in Topic::ALL.into_iter().filter(|other| *other != topic) {
        let body = envelope(other, new_request(), &text);
        all.push(BadMessage::new("B-M4", &format!("to {other}"), body, WRONG_TOPIC));
    }
    for other in ["", "nowhere", "DeploymentManager\n", "../NodeManager"] {
        let body = with_id(json!(uuid)).replace(
            &format!("\"to_topic\":{}", json!(topic.as_str())),
            &format!("\"to_topic\":{}", json!(other)),
        );
        all.push(BadMessage::new("B-M4", &format!("to {other:?}"), body, WRONG_TOPIC));
    }
    all
}

/// B-M5: what follows a verb, with a `$` or a part too many or too few.
fn dollars(topic: Topic) -> Vec<BadMessage> {
    let texts: &[&str] = match topic {
        Topic::DeploymentManager => &[
            "deploy app",
            "deploy app$x$y",
            "deploy app$x$y$z",
            "deploy app$x$",
            "deploy app$$x",
            "stop app$x$y",
            "stop app$x$",
            "stop app$x$192.0.2.1$y",
            "ans-node$",
            "ans-node${}",
            "ans-node${}$x",
            "ans-node$__import__('os')",
            "ans-node${'node_id': 'n', 'node_name': 'n', 'node_ip': '192.0.2.1', 'node_os': 'x', 'port': 1, 'app_name': 'a$b'}",
        ],
        Topic::NodeManager => &["give best node", "give best node$x$y", "give best node$x$"],
        Topic::LoadBalancer => &[
            "scale app$x",
            "scale app$x$",
            "scale app$x$2$3",
            "scale app$x$2$",
            "scale app$x$-1",
            "scale app$x$+1",
            "scale app$x$1e3",
            "scale app$x$99999999999999999999",
            "status app$x$y",
            "status app$x$",
        ],
        Topic::FirstTopic => &[
            "done stopped$x$y",
            "done stopped$x$",
            "done schedule app$x$y",
            "its time$x$y",
            "its end time$x$",
            "App x$y not deployed. Error - z",
            "done x deploy - 192.0.2.1:2000$y",
            "done x deploy - 192.0.2.1",
            "done x deploy - 192.0.2.1:99999",
            "done x deploy - example.org:80",
        ],
        Topic::Bootstrapper | Topic::Scheduler | Topic::LifecycleManager => &[],
    };
    let bad = |text: &&str| {
        BadMessage::new("B-M5", text, envelope(topic, new_request(), text), MALFORMED)
    };
    texts.iter().map(bad).collect()
}

/// B-N1 to B-N5 in every verb.
fn hostile_names(topic: Topic) -> Vec<BadMessage> {
    let mut all = Vec::new();
    for name in names::never() {
        for text in verbs(topic, &name.text) {
            let body = envelope(topic, new_request(), &text);
            all.push(BadMessage::new(name.row, &text, body, MALFORMED));
        }
    }
    all
}

/// B-M3: two messages under one id that say different things; the second one is refused.
pub fn contradiction(topic: Topic, id: RequestId, app: &str) -> [String; 2] {
    let [first, second] = if topic == Topic::FirstTopic {
        ["192.0.2.1:2000", "192.0.2.2:2000"].map(|at| format!("done {app} deploy - {at}"))
    } else {
        ["nobody-one", "nobody-two"].map(|name| good(topic, name))
    };
    [first, second].map(|text| envelope(topic, id, &text))
}
