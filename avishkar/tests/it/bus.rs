//! `avishkar bus send|tail`.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::talking::signed_in;
use crate::{avishkar, said};

const SEND: &str = "POST /api/v1/messages";

#[test]
fn a_message_is_sent_by_way_of_the_platform() {
    let platform = FakePlatform::start(|line, _| {
        assert_eq!(line, SEND);
        let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let sent = json!({ "topic": "DeploymentManager", "request_id": id, "offset": 7 });
        Answer::Says(202, sent.to_string())
    });
    let home = signed_in(&platform.url);
    let arguments = ["bus", "send", "DeploymentManager", "deploy app$shop"];
    let output = avishkar(&arguments, &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    let expected = "sent to DeploymentManager as request 6ba7b810-9dad-11d1-80b4-00c04fd430c8\n";
    assert_eq!(said(&output.stdout), expected);
    let body: Value = serde_json::from_str(&platform.requests()[0].body).unwrap();
    assert_eq!(body, json!({ "to_topic": "DeploymentManager", "msg": "deploy app$shop" }));
}

fn record(offset: i64, payload: &str) -> String {
    let at = "2026-01-01T00:00:00Z";
    format!("{}\n", json!({ "offset": offset, "at": at, "payload": payload, "reason": null }))
}

/// A `tail` that goes on until it is dropped.
struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    fn start(arguments: &[&str], home: &tempfile::TempDir) -> Self {
        let arguments = [arguments, &["bus", "tail", "first_topic"]].concat();
        let mut command = avishkar(&arguments, home);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Tail { child, lines }
    }

    fn next(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn what_is_read_goes_on_from_where_an_answer_ended_or_broke_off() {
    let platform = FakePlatform::start(|line, before| match (line, before) {
        ("GET /api/v1/messages/first_topic?from=end", 0) => {
            Answer::Reads(5, format!("\n{}\n{}", record(5, "one"), record(6, "two\u{1b}")))
        }
        // Nothing came before it ended, and half of a record is none.
        ("GET /api/v1/messages/first_topic?from=7", 0) => Answer::Reads(7, "\n{\"off".to_owned()),
        ("GET /api/v1/messages/first_topic?from=7", _) => Answer::Reads(7, record(9, "three")),
        (_, _) => Answer::Reads(10, "\n".to_owned()),
    });
    let home = signed_in(&platform.url);
    let mut tail = Tail::start(&[], &home);
    let shown = [tail.next(), tail.next(), tail.next()];
    let line = |payload: &str| format!("2026-01-01T00:00:00Z {payload}");
    assert_eq!(shown, [line("one"), line("two"), line("three")]);
}

#[test]
fn what_is_read_by_programs_is_an_object_a_line_with_all_that_is_known() {
    let platform = FakePlatform::start(|_, _| Answer::Reads(5, record(5, "one\n")));
    let home = signed_in(&platform.url);
    let mut tail = Tail::start(&["--json"], &home);
    let line: Value = serde_json::from_str(&tail.next()).unwrap();
    let expected = json!({
        "offset": 5, "at": "2026-01-01T00:00:00Z", "key": null, "payload": "one\n", "details": null,
        "reason": null,
    });
    assert_eq!(line, expected);
}

#[test]
fn who_may_not_read_or_cannot_reach_the_platform_is_told() {
    let platform = FakePlatform::start(|_, _| {
        let problem = json!({
            "type": "urn:avishkar:FORBIDDEN", "code": "FORBIDDEN", "title": "This is not yours to do",
            "detail": "the role dev may not do this", "status": 403,
        });
        Answer::Says(403, problem.to_string())
    });
    let home = signed_in(&platform.url);
    let output = avishkar(&["bus", "tail", "first_topic.dlq"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output.stderr));
    let gone = signed_in("http://127.0.0.1:1");
    let output = avishkar(&["bus", "tail", "first_topic"], &gone).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output.stderr));
    let output = avishkar(&["bus", "tail", "nowhere.dlq"], &gone).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output.stderr));
}

#[test]
fn brokers_that_do_not_answer_have_the_code_and_a_hint_of_what_cannot_be_reached() {
    let home = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| {
        let arguments = [&["bus"], arguments, &["--brokers", "127.0.0.1:1"]].concat();
        avishkar(&arguments, &home).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Both at once: each waits for its deadline.
    let asking =
        [ask(&["send", "DeploymentManager", "deploy app$a"]), ask(&["tail", "first_topic"])];
    for child in asking {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", said(&output.stderr));
        assert!(said(&output.stderr).contains("hint: is Kafka running?"));
    }
}
