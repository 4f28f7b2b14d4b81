//! A platform with several doors.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::fake_platform::{Answer, FakePlatform};
use crate::{avishkar, said};

/// A home folder that is signed in to a platform with these doors.
fn signed_in(doors: &[&str]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("avishkar")).unwrap();
    let (first, others) = doors.split_first().unwrap();
    let noted =
        json!({ "server": first, "more_servers": others, "username": "admin", "token": "t" });
    fs::write(home.path().join("avishkar/credentials.json"), noted.to_string()).unwrap();
    home
}

fn noted(home: &tempfile::TempDir) -> Value {
    serde_json::from_slice(&fs::read(home.path().join("avishkar/credentials.json")).unwrap())
        .unwrap()
}

/// Where nobody listens.
fn closed() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

const APPS: &str = "GET /api/v1/instances";
const PLATFORM: &str = "GET /api/v1/platform";
const SCALE: &str = "POST /api/v1/instances/shop/scale";

/// It says that it has moved to this address, too.
fn platform() -> FakePlatform {
    FakePlatform::start(|line, _| match line {
        APPS => Answer::Says(200, "[]".to_owned()),
        PLATFORM => {
            let instances = json!([{ "address": "192.0.2.9:8010", "state": "ready" }]);
            let services = json!([{ "service": "application_manager", "instances": instances }]);
            Answer::Says(200, json!({ "services": services }).to_string())
        }
        "POST /api/v1/apps/shop/releases" => Answer::Says(201, json!({ "number": 1 }).to_string()),
        "POST /api/v1/login" => Answer::Says(200, json!({ "token": "t" }).to_string()),
        _ => Answer::Says(202, json!({ "instance": "shop", "request_id": "r-1" }).to_string()),
    })
}

#[test]
fn a_platform_on_this_machine_is_asked_without_the_machines_proxies() {
    let platform = platform();
    let home = signed_in(&[&platform.url]);
    let mut command = avishkar(&["apps"], &home);
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env(name, closed());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
}

#[test]
fn where_a_door_is_closed_the_next_is_asked_and_the_next_command_begins_there() {
    let (platform, closed) = (platform(), closed());
    let home = signed_in(&[&closed, &platform.url]);
    let output = avishkar(&["apps"], &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(noted(&home)["server"], platform.url.as_str());
    assert_eq!(noted(&home)["more_servers"], json!([closed]), "nothing that a tunnel's end says");
    // A door that is typed is one of the platform that is known.
    let output = avishkar(&["--server", &closed, "apps"], &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
}

#[test]
fn signing_in_through_a_tunnel_notes_no_other_door() {
    let platform = platform();
    let home = tempfile::tempdir().unwrap();
    let password = home.path().join("password");
    fs::write(&password, "open sesame").unwrap();
    let words = ["--server", &platform.url, "login", "--password-file", password.to_str().unwrap()];
    let output = avishkar(&words, &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(
        (&noted(&home)["server"], &noted(&home)["more_servers"]),
        (&json!(platform.url), &Value::Null)
    );
    // A door that an older version learned so is asked no more: where the tunnel is down, nobody is.
    let closed = closed();
    let home = signed_in(&["http://192.0.2.9:8010", &closed]);
    let output = avishkar(&["apps"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output.stderr));
    assert!(said(&output.stderr).contains(&closed), "{}", said(&output.stderr));
    assert!(!said(&output.stderr).contains("192.0.2.9"), "{}", said(&output.stderr));
}

#[test]
fn what_was_sent_is_not_sent_to_another_door_unless_it_may_be_done_twice() {
    let dying = FakePlatform::start(|_, _| Answer::HangsUp);
    let platform = platform();
    let home = signed_in(&[&dying.url, &platform.url]);
    let output = avishkar(&["scale", "shop", "2"], &home).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output.stderr));
    assert_eq!(dying.requests()[0].line, SCALE);
    assert!(platform.requests().is_empty(), "{:?}", platform.requests());
    let output = avishkar(&["apps"], &home).output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
}

#[test]
fn what_was_not_sent_goes_to_another_door_once() {
    let (platform, closed) = (platform(), closed());
    let app = tempfile::tempdir().unwrap();
    fs::write(app.path().join("index.html"), "hello").unwrap();
    let folder = app.path().to_str().unwrap();
    let deploy = ["deploy", folder, "--name", "shop", "--no-wait"];
    for words in [&["scale", "shop", "2", "--no-wait"][..], &deploy] {
        let home = signed_in(&[&closed, &platform.url]);
        let before = platform.requests().len();
        let output = avishkar(words, &home).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", said(&output.stderr));
        let requests = platform.requests().split_off(before);
        let sent = requests.iter().filter(|request| request.line.starts_with("POST "));
        assert_eq!(sent.count(), if words == deploy { 2 } else { 1 }, "{requests:?}");
    }
}
