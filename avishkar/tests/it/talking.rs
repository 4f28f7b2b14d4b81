//! Commands that talk to a platform.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::{avishkar, said};

/// A home folder that is signed in to this server.
pub(crate) fn signed_in(url: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("avishkar")).unwrap();
    let noted = json!({ "server": url, "username": "admin", "token": "t" });
    fs::write(home.path().join("avishkar/credentials.json"), noted.to_string()).unwrap();
    home
}

fn ok(body: &Value) -> Answer {
    Answer::Says(200, body.to_string())
}

fn instance(state: &str, failure: &Value) -> Answer {
    ok(&json!({
        "name": "shop", "app": "shop", "release": 1, "state": state, "url": null,
        "request_id": "r-1", "failure": failure,
    }))
}

const STOP: &str = "DELETE /api/v1/instances/shop";
const OPERATION: &str = "GET /api/v1/operations/r-1";

fn taken() -> Answer {
    Answer::Says(202, json!({ "instance": "shop", "request_id": "r-1" }).to_string())
}

#[test]
fn a_request_is_waited_for_while_the_platform_starts_again() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        (STOP, _) => taken(),
        (OPERATION, 0) => Answer::HangsUp,
        (OPERATION, 1) => Answer::Says(503, "{}".to_owned()),
        (OPERATION, _) => ok(&json!({ "status": "succeeded" })),
        _ => instance("stopped", &Value::Null),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["stop", "shop"], &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stdout), "shop is stopped\n");
    assert!(said(&output.stderr).contains("does not answer"));
    let stops = platform.requests().into_iter().filter(|request| request.line == STOP);
    assert_eq!(stops.count(), 1);
}

#[test]
fn a_failure_for_programs_has_the_code_and_the_apps_last_lines() {
    let reason = json!({ "code": "APP_EXITED", "message": "it ended", "output": ["boom"] });
    let failure = reason.clone();
    let platform = FakePlatform::start(move |line, _| match line {
        STOP => taken(),
        OPERATION => ok(&json!({ "status": "failed", "failure": reason })),
        _ => instance("failed", &failure),
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["--json", "stop", "shop"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(
        (&told["code"], &told["output"], &told["exit_code"]),
        (&json!("APP_EXITED"), &json!(["boom"]), &json!(6))
    );
}

const LOGS: &str = "GET /api/v1/instances/shop/logs?tail=100&follow=false";

#[test]
fn logs_for_programs_are_an_object_a_line() {
    let platform = FakePlatform::start(|line, _| {
        assert_eq!(line, LOGS);
        Answer::Says(200, "[1] said \"hi\"\n[2] end".to_owned())
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["--json", "logs", "shop"], &home).output().unwrap();
    let lines: Vec<Value> =
        said(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, [json!({ "line": "[1] said \"hi\"" }), json!({ "line": "[2] end" })]);
}

#[test]
fn whoever_reads_only_the_first_lines_ends_the_command_without_an_error() {
    let platform =
        FakePlatform::start(|_, _| Answer::Says(200, "a line of output\n".repeat(100_000)));
    let home = signed_in(&platform.url);
    let mut command = avishkar(&["logs", "shop"], &home);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "a line of output\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), said(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn a_server_without_a_scheme_is_typed_wrong_and_not_unreachable() {
    let home = tempfile::tempdir().unwrap();
    let output = avishkar(&["--server", "127.0.0.1:8010", "apps"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output.stderr).contains("http://"), "{}", said(&output.stderr));
}
