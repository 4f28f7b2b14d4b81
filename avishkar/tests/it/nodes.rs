//! The nodes on the command line: listed, drained, returned.

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::talking::signed_in;
use crate::{avishkar, said};

const NODES: &str = "GET /api/v1/nodes";
const DRAIN: &str = "PUT /api/v1/nodes/node-1/drain";
const RETURN: &str = "DELETE /api/v1/nodes/node-1/drain";

fn node(name: &str, verdict: &str, replicas: usize) -> Value {
    let drained_since = (verdict == "draining").then_some("2026-01-01T00:00:00Z");
    json!({
        "name": name, "ip": "192.0.2.11", "os": "Linux", "verdict": verdict,
        "reason": "its samples come", "since": "2026-01-01T00:00:00Z", "replicas": replicas,
        "drained_since": drained_since, "stays": [],
    })
}

fn ok(body: &Value) -> Answer {
    Answer::Says(200, body.to_string())
}

#[test]
fn nodes_are_a_table_for_people_and_whole_for_programs() {
    let listed = json!([node("node-1", "draining", 0), node("node-2", "live", 3)]);
    let answer = listed.clone();
    let platform = FakePlatform::start(move |line, _| match line {
        NODES => ok(&answer),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    for words in [&["nodes"][..], &["nodes", "list"]] {
        let output = avishkar(words, &home).output().unwrap();
        let text = said(&output.stdout);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("node-1  192.0.2.11  drained  0"), "{text}");
        assert!(lines[2].starts_with("node-2  192.0.2.11  live     3"), "{text}");
    }
    let output = avishkar(&["--json", "nodes"], &home).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told[0]["verdict"], &told[1]["replicas"]), (&json!("draining"), &json!(3)));
}

#[test]
fn a_drain_is_waited_for_until_the_node_is_empty_and_a_return_is_not() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        (DRAIN, _) => Answer::Says(202, json!({ "node": "node-1" }).to_string()),
        (RETURN, _) => Answer::Says(204, String::new()),
        (NODES, 0) => Answer::HangsUp,
        (NODES, 1) => ok(&json!([node("node-1", "draining", 1)])),
        (NODES, _) => ok(&json!([node("node-1", "draining", 0)])),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["nodes", "drain", "node-1"], &home).output().unwrap();
    let text = said(&output.stdout);
    assert!(text.starts_with("node-1 is drained"), "{text}{}", said(&output.stderr));
    assert_eq!(platform.requests().iter().filter(|one| one.line == NODES).count(), 3);
    let words = ["--json", "nodes", "drain", "node-1", "--no-wait"];
    let output = avishkar(&words, &home).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, json!({ "node": "node-1", "state": "draining" }));
    let output = avishkar(&["--json", "nodes", "return", "node-1"], &home).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, json!({ "node": "node-1", "state": "returned" }));
}

#[test]
fn a_node_that_is_not_drained_is_told_with_code_and_hint() {
    let platform = FakePlatform::start(|line, _| match line {
        DRAIN => {
            let problem = json!({
                "type": "urn:avishkar:LAST_NODE", "code": "LAST_NODE", "title": "title",
                "detail": "no node but node-1 lives", "status": 409, "hint": "return another node",
            });
            Answer::Says(409, problem.to_string())
        }
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["nodes", "drain", "node-1"], &home).output().unwrap();
    let text = said(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text, "error: LAST_NODE: no node but node-1 lives\nhint: return another node\n");
}
