//! What was in service, and going back to it.

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::talking::signed_in;
use crate::{avishkar, said};

const RELEASES: &str = "GET /api/v1/instances/shop/releases";
const ROLLBACK: &str = "POST /api/v1/instances/shop/rollback";
const PROMOTE: &str = "POST /api/v1/instances/shop/promote";
const OPERATION: &str = "GET /api/v1/operations/r-1";

fn ok(body: &Value) -> Answer {
    Answer::Says(200, body.to_string())
}

fn kept(number: u32, state: &str, by: &Value) -> Value {
    json!({
        "number": number, "state": state, "share": null, "since": "2026-01-01T00:00:00Z", "rolled_back_at": null,
        "by": by, "image_digest": format!("sha256:{}", "ab".repeat(32)), "bundle_digest": null,
        "request_id": "r-0",
    })
}

#[test]
fn what_was_in_service_is_a_table_for_people_and_whole_for_programs() {
    let listed = json!([kept(2, "serving", &json!("dee")), kept(1, "rolled_back", &Value::Null)]);
    let answer = listed.clone();
    let platform = FakePlatform::start(move |line, _| match line {
        RELEASES => ok(&answer),
        _ => Answer::Says(404, "{}".to_owned()),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["releases", "shop"], &home).output().unwrap();
    let text = said(&output.stdout);
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["RELEASE", "STATE", "SINCE", "BY", "IMAGE"]);
    assert_eq!(lines[1][..2], ["2", "serving"]);
    assert_eq!(lines[1][3..], ["dee", "sha256:abababababab"]);
    assert_eq!(lines[2][..3], ["1", "rolled", "back"]);
    let output = avishkar(&["--json", "releases", "shop"], &home).output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), listed);
}

#[test]
fn going_back_names_the_release_and_waits_until_it_serves() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        (ROLLBACK, _) => {
            Answer::Says(202, json!({ "instance": "shop", "request_id": "r-1" }).to_string())
        }
        (OPERATION, 0) => ok(&json!({ "status": "accepted" })),
        (OPERATION, _) => ok(&json!({ "status": "succeeded" })),
        _ => ok(&json!({
            "name": "shop", "app": "shop", "release": 1, "state": "deployed", "url": null,
            "request_id": "r-1", "failure": null,
        })),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["rollback", "shop", "1"], &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stdout), "shop is back at release 1\n");
    let asked = platform.requests().into_iter().filter(|request| request.line == ROLLBACK);
    assert_eq!(asked.count(), 1);
}

#[test]
fn what_cannot_be_gone_back_to_is_said_with_its_code() {
    let platform = FakePlatform::start(|_, _| {
        let problem = json!({
            "type": "urn:avishkar:NOTHING_TO_ROLL_BACK_TO", "code": "NOTHING_TO_ROLL_BACK_TO",
            "title": "There is nothing to go back to", "detail": "no older release", "status": 409,
        });
        Answer::Says(409, problem.to_string())
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["--json", "rollback", "shop"], &home).output().unwrap();
    assert!(!output.status.success());
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(told["code"], "NOTHING_TO_ROLL_BACK_TO");
}

#[test]
fn a_canary_is_shown_with_its_share_and_promoted() {
    let mut canary = kept(3, "canary", &json!("dee"));
    canary["share"] = json!(10);
    let listed = json!([canary, kept(2, "serving", &Value::Null)]);
    let platform = FakePlatform::start(move |line, _| match line {
        RELEASES => ok(&listed),
        PROMOTE => {
            Answer::Says(202, json!({ "instance": "shop", "request_id": "r-1" }).to_string())
        }
        OPERATION => ok(&json!({ "status": "succeeded" })),
        _ => ok(&json!({
            "name": "shop", "app": "shop", "release": 3, "state": "deployed", "url": null,
            "request_id": "r-1", "failure": null,
            "canary": { "release": 3, "share": 10, "promoted": false },
        })),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["releases", "shop"], &home).output().unwrap();
    assert!(said(&output.stdout).contains("canary 10 %"), "{}", said(&output.stdout));
    let output = avishkar(&["status", "shop"], &home).output().unwrap();
    let line = "canary release 3 gets 10 % of the requests\n";
    assert!(said(&output.stdout).contains(line), "{}", said(&output.stdout));
    let output = avishkar(&["promote", "shop"], &home).output().unwrap();
    assert_eq!(said(&output.stdout), "release 3 of shop gets all requests\n");
}

#[test]
fn a_share_that_no_canary_can_have_is_refused_before_anything_is_sent() {
    let platform = FakePlatform::start(|_, _| Answer::Says(500, "{}".to_owned()));
    let home = signed_in(&platform.url);
    for share in ["0", "100%", "1.5", "ten"] {
        let output = avishkar(&["deploy", ".", "--canary", share], &home).output().unwrap();
        assert!(!output.status.success());
        let text = said(&output.stderr);
        assert!(text.contains("a whole number of percent of the requests, from 1 to 99"), "{text}");
    }
    assert!(platform.requests().is_empty());
}
