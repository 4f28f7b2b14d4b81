//! The platform's machines, and restarts, on the command line.

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::talking::signed_in;
use crate::{avishkar, said};

const MACHINES: &str = "GET /api/v1/machines";
const ADD: &str = "POST /api/v1/machines";
const REMOVE: &str = "DELETE /api/v1/machines/added-1";
const PIN: &str = "PUT /api/v1/machines/node-2/host-key";
const OPERATION: &str = "GET /api/v1/platform/operations/r-1";
const KEY: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn ok(body: &Value) -> Answer {
    Answer::Says(200, body.to_string())
}

fn taken() -> Answer {
    let operation = "/api/v1/platform/operations/r-1";
    Answer::Says(202, json!({ "request_id": "r-1", "operation": operation }).to_string())
}

fn refused(status: u16, code: &str, detail: &str) -> Answer {
    let problem = json!({
        "type": format!("urn:avishkar:{code}"), "code": code, "title": "title", "detail": detail,
        "status": status,
    });
    Answer::Says(status, problem.to_string())
}

fn ended(status: &str, failure: &Value, details: &Value) -> Answer {
    ok(&json!({
        "request_id": "r-1", "kind": "restart", "status": status, "failure": failure,
        "details": details, "accepted_at": "2026-01-01T00:00:00Z",
    }))
}

fn machine(name: &str, state: &str, reason: &str, failure: &Value) -> Value {
    json!({
        "name": name, "kind": "local", "address": "192.0.2.11", "goal": "node", "state": state,
        "reason": reason, "since": "2026-01-01T00:00:00Z", "restarts": [], "attempts": 2,
        "failure": failure,
    })
}

#[test]
fn machines_are_a_table_for_people_with_what_only_they_can_end_and_whole_for_programs() {
    let failure = json!({ "code": "NODE_UNAVAILABLE", "message": "HOST_KEY_CHANGED: look" });
    let listed = json!([
        machine("node-1", "ready", "its agent answers", &Value::Null),
        machine("node-2", "quarantined", "it has another host key", &failure),
    ]);
    let answer = listed.clone();
    let platform = FakePlatform::start(move |line, _| match line {
        MACHINES => ok(&answer),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["machines"], &home).output().unwrap();
    let text = said(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0].split_whitespace().next(), Some("MACHINE"), "{text}");
    assert!(lines[1].starts_with("node-1   192.0.2.11  local  ready"), "{text}");
    assert_eq!(lines[3], "node-2: NODE_UNAVAILABLE: HOST_KEY_CHANGED: look");
    assert!(lines[4].contains("avishkar machines pin node-2 KEY"), "{text}");
    let output = avishkar(&["--json", "machines", "list"], &home).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told[0], &told[1]["state"]), (&listed[0], &json!("quarantined")));
}

#[test]
fn a_restart_is_waited_for_and_says_where_it_was_made() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        ("POST /api/v1/restarts/services/monitoring", _) => taken(),
        // The service that is restarted may be the one that is asked.
        (OPERATION, 0) => Answer::HangsUp,
        (OPERATION, 1) => ended("accepted", &Value::Null, &Value::Null),
        (OPERATION, _) => {
            ended("succeeded", &Value::Null, &json!({ "restarted": ["node-1", "node-2"] }))
        }
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["restart", "service", "monitoring"], &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stdout), "it runs anew, on node-1, node-2\n");
    let words = ["--json", "restart", "service", "monitoring", "--no-wait"];
    let output = avishkar(&words, &home).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["request_id"], "r-1");
}

#[test]
fn between_two_leaders_a_request_is_sent_again_under_the_same_id() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        (ADD, 0) => refused(503, "LIFECYCLE_UNAVAILABLE", "no lifecycle manager answers"),
        (ADD, _) => taken(),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    for expected in [2, 3] {
        let output = avishkar(&["machines", "add", "--no-wait"], &home).output().unwrap();
        assert_eq!(said(&output.stdout), "accepted as r-1\n", "{}", said(&output.stderr));
        assert_eq!(platform.requests().len(), expected);
    }
    let keys: Vec<Option<String>> = platform.requests().into_iter().map(|one| one.key).collect();
    assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
    assert!(
        keys[2].is_some() && keys[2] != keys[1],
        "another command is another request: {keys:?}"
    );
}

#[test]
fn each_family_has_a_path_of_its_own() {
    let platform = FakePlatform::start(|_, _| taken());
    let home = signed_in(&platform.url);
    for (family, name) in
        [("service", "node_manager"), ("machine", "node-1"), ("app", "shop"), ("model", "m")]
    {
        let words = ["restart", family, name, "--no-wait"];
        let output = avishkar(&words, &home).output().unwrap();
        assert_eq!(said(&output.stdout), "accepted as r-1\n", "{family}");
    }
    let lines: Vec<String> = platform.requests().into_iter().map(|one| one.line).collect();
    assert_eq!(
        lines,
        [
            "POST /api/v1/restarts/services/node_manager",
            "POST /api/v1/restarts/nodes/node-1",
            "POST /api/v1/restarts/apps/shop",
            "POST /api/v1/restarts/models/m",
        ]
    );
}

#[test]
fn what_is_refused_and_what_fails_is_told_with_code_and_hint() {
    let platform = FakePlatform::start(|line, _| match line {
        "POST /api/v1/restarts/services/monitoring" => {
            refused(503, "NOT_READY", "the lifecycle manager has just begun to look")
        }
        "POST /api/v1/restarts/nodes/node-1" => taken(),
        OPERATION => {
            let failure = json!({
                "code": "RESTART_HELD", "message": "zookeeper of node-2 is not ready",
                "hint": "see to node-2 first",
            });
            ended("failed", &failure, &Value::Null)
        }
        _ => refused(403, "FORBIDDEN", "it needs the role admin"),
    });
    let home = signed_in(&platform.url);
    let fails = |words: &[&str]| {
        let output = avishkar(words, &home).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stderr).unwrap();
        (output.status.code(), told)
    };
    let (code, told) = fails(&["--json", "restart", "service", "monitoring"]);
    assert_eq!((code, &told["code"]), (Some(1), &json!("NOT_READY")));
    let (code, told) = fails(&["--json", "restart", "machine", "node-1"]);
    assert_eq!((code, &told["code"]), (Some(6), &json!("RESTART_HELD")));
    assert_eq!(told["hint"], "see to node-2 first");
    let (code, told) = fails(&["--json", "machines"]);
    assert_eq!((code, &told["code"]), (Some(4), &json!("FORBIDDEN")));
}

#[test]
fn a_machine_is_added_and_one_is_taken_away_and_both_are_waited_for() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        (ADD, _) => taken(),
        (OPERATION, _) => ended("succeeded", &Value::Null, &Value::Null),
        (REMOVE, _) => Answer::Says(202, json!({ "machine": "added-1" }).to_string()),
        (MACHINES, 0) => {
            ok(&json!([machine("added-1", "leaving", "it is to be taken away", &Value::Null)]))
        }
        (MACHINES, _) => ok(&json!([])),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let words = ["machines", "add", "added-1", "--reason", "more room"];
    let output = avishkar(&words, &home).output().unwrap();
    assert_eq!(said(&output.stdout), "the machine is a node\n");
    let sent: Value = serde_json::from_str(&platform.requests()[0].body).unwrap();
    assert_eq!(sent, json!({ "name": "added-1", "reason": "more room" }));
    let output = avishkar(&["machines", "remove", "added-1"], &home).output().unwrap();
    assert_eq!(said(&output.stdout), "added-1 is gone\n", "{}", said(&output.stderr));
    assert!(said(&output.stderr).contains("added-1: it is to be taken away"));
}

#[test]
fn a_host_key_is_pinned_as_ssh_keygen_names_it_and_what_is_none_is_never_sent() {
    let platform = FakePlatform::start(|line, _| match line {
        PIN => Answer::Says(204, String::new()),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let whole = format!("ssh-ed25519 {KEY}");
    let ways: [&[&str]; 2] = [
        &["machines", "pin", "node-2", "ssh-ed25519", KEY],
        &["machines", "pin", "node-2", &whole],
    ];
    for words in ways {
        let output = avishkar(words, &home).output().unwrap();
        let expected = format!("node-2 is known by {whole} from now on\n");
        assert_eq!(said(&output.stdout), expected, "{}", said(&output.stderr));
        let sent: Value = serde_json::from_str(&platform.requests().pop().unwrap().body).unwrap();
        assert_eq!(sent, json!({ "host_key": whole }));
    }
    let before = platform.requests().len();
    let output = avishkar(&["machines", "pin", "node-2", KEY], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("ssh-ed25519 SHA256:"), "{}", said(&output.stderr));
    assert_eq!(platform.requests().len(), before);
}
