//! `avishkar doctor`, with an engine of a few lines. Ports and the like are those of the machine that the test runs on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use adapters::embedded::Folder;
use serde_json::{Value, json};

use crate::{avishkar, said};

/// An engine that knows its version and what runs. It serves until the test process ends.
pub(crate) fn engine(place: &Path, version: (&str, &str), running: Value) -> PathBuf {
    engine_on("/", place, version, running)
}

/// One that keeps its images in this folder.
pub(crate) fn engine_on(
    root: &'static str,
    place: &Path,
    version: (&str, &str),
    running: Value,
) -> PathBuf {
    let socket = place.join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (engine, api) = (version.0.to_owned(), version.1.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap_or_default();
            let request = String::from_utf8_lossy(bytes.get(..count).unwrap()).into_owned();
            let body = match request.split(' ').nth(1).unwrap_or_default() {
                "/version" => json!({ "Version": engine, "ApiVersion": api }),
                "/info" => json!({ "DockerRootDir": root, "SystemTime": "2001-01-01T00:00:00Z" }),
                path if path.starts_with("/containers/json") => running.clone(),
                path if path.starts_with("/images/") => {
                    let missing = json!({ "message": "No such image" }).to_string();
                    answer(&mut stream, "404 Not Found", &missing);
                    continue;
                }
                // Whoever only looks whether somebody listens.
                _ => continue,
            };
            answer(&mut stream, "200 OK", &body.to_string());
        }
    });
    socket
}

fn answer(stream: &mut UnixStream, status: &str, body: &str) {
    let length = body.len();
    // Whoever asked and went away is no fault.
    drop(write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
}

/// What was found, by name, and the exit code.
fn examined(socket: &Path, folder: &Path) -> (Value, Option<i32>) {
    let home = tempfile::tempdir().unwrap();
    let data = folder.to_str().unwrap();
    let setting = format!("node-agent.docker.socket={}", socket.display());
    let arguments = ["--json", "doctor", "--data", data, "--set", &setting];
    let output = avishkar(&arguments, &home).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = told.get("checks").and_then(Value::as_array).unwrap();
    let named =
        checks.iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone()));
    (named.collect(), output.status.code())
}

#[test]
fn an_engine_that_is_not_there_is_told_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("docker.sock");
    for prepare in [|_: &Path| {}, |socket: &Path| drop(UnixListener::bind(socket).unwrap())] {
        prepare(&socket);
        let (found, code) = examined(&socket, place.path());
        assert_eq!(code, Some(8));
        let docker = &found["docker"];
        assert_eq!(
            (&docker["verdict"], &docker["code"]),
            (&json!("failure"), &json!("DOCKER_ABSENT"))
        );
        assert!(docker["advice"].as_str().unwrap().contains("start it"), "{docker}");
        assert_eq!((&found["cluster"], &found["docker disk"]), (&Value::Null, &Value::Null));
        assert_eq!(found["folder"]["verdict"], "fine");
    }
}

#[test]
fn what_is_no_engine_is_not_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || listener.incoming().for_each(drop));
    let (found, code) = examined(&socket, place.path());
    assert_eq!((code, &found["docker"]["code"]), (Some(8), &json!("DOCKER_ABSENT")));
}

#[test]
fn an_engine_of_the_past_is_too_old_and_the_cluster_is_seen() {
    let place = tempfile::tempdir().unwrap();
    let part = json!({
        "Names": ["/avishkar_kafka_1"], "Labels": { "com.docker.compose.project": "avishkar" },
    });
    let socket = engine(place.path(), ("19.03.15", "1.40"), json!([part]));
    let (found, code) = examined(&socket, place.path());
    assert_eq!(code, Some(8));
    assert_eq!(found["docker"]["code"], "DOCKER_TOO_OLD");
    assert_eq!(found["cluster"]["code"], "CLUSTER_RUNS");
    assert_eq!(found["clock"]["verdict"], "warning", "{}", found["clock"]);
}

#[test]
fn a_platform_that_runs_has_its_folder_rightly_and_a_damaged_folder_is_named() {
    let place = tempfile::tempdir().unwrap();
    let socket = engine(place.path(), ("28.0.4", "1.48"), json!([]));
    let data = place.path().join("data");
    let folder = Folder::open(&data).unwrap();
    let (found, _) = examined(&socket, &data);
    assert_eq!(
        (&found["docker"]["verdict"], &found["cluster"]["verdict"]),
        (&json!("fine"), &json!("fine"))
    );
    let told = found["folder"]["sentence"].as_str().unwrap();
    assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
    drop(folder);
    fs::write(data.join("bus.redb"), "not a database").unwrap();
    let (found, code) = examined(&socket, &data);
    assert_eq!((code, &found["folder"]["code"]), (Some(8), &json!("FOLDER_DAMAGED")));
    assert_eq!(fs::read_to_string(data.join("bus.redb")).unwrap(), "not a database");
}

#[test]
fn a_platform_that_has_its_folder_and_does_not_answer_is_not_well() {
    let place = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let socket = engine(place.path(), ("28.0.4", "1.48"), json!([]));
    let data = place.path().join("data");
    let _running = Folder::open(&data).unwrap();
    let mut command = avishkar(&["--json", "doctor", "--data"], &home);
    command.arg(&data).arg("--set").arg(format!("node-agent.docker.socket={}", socket.display()));
    for service in ["app-manager", "deployment-manager", "node-manager", "load-balancer"] {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        command.arg("--set").arg(format!("{service}.http.address={nobody}"));
    }
    let output = command.output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = told["checks"].as_array().unwrap();
    let services = checks.iter().find(|check| check["name"] == "services").unwrap();
    assert_eq!((output.status.code(), &services["code"]), (Some(8), &json!("NOT_READY")));
}

#[test]
fn somebody_elses_container_with_the_name_of_the_edge_is_named() {
    let place = tempfile::tempdir().unwrap();
    let stranger = json!({ "Names": ["/avishkar-edge"], "Labels": { "shop": "1" } });
    let socket = engine(place.path(), ("28.0.4", "1.48"), json!([stranger]));
    let (found, code) = examined(&socket, place.path());
    assert_eq!((code, &found["edge"]["code"]), (Some(8), &json!("EDGE_NAME_TAKEN")));
}

#[test]
fn people_get_a_line_for_each_check() {
    let place = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let socket = place.path().join("docker.sock");
    let setting = format!("node-agent.docker.socket={}", socket.display());
    let mut command = avishkar(&["doctor", "--set", &setting], &home);
    let output = command.env("XDG_STATE_HOME", place.path()).output().unwrap();
    let shown = said(&output.stdout);
    assert!(shown.starts_with("x   docker "), "{shown}");
    let folder = place.path().join("avishkar/up");
    assert!(shown.contains(folder.to_str().unwrap()), "{shown}");
    assert!(!folder.exists());
    assert!(said(&output.stderr).contains("checks failed"), "{}", said(&output.stderr));
}

#[test]
fn ports_are_those_of_the_settings() {
    let place = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let setting = format!("app-manager.http.address=127.0.0.1:{port}");
    let arguments = ["--json", "doctor", "--data", "state", "--set", &setting];
    let output = avishkar(&arguments, &place).current_dir(place.path()).output().unwrap();
    let told = said(&output.stdout);
    assert!(told.contains("PORT_IN_USE") && told.contains(&port.to_string()), "{told}");
    assert!(!told.contains("8010"), "{told}");
    let wrong = avishkar(&["doctor", "--set", "nobody.x.y=1"], &place).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong.stderr));
}
