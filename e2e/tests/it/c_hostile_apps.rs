//! Apps that end at once, listen where nobody looks, or look around: each fails by name or finds nothing,
//! and no other app notices.

use std::fs;
use std::time::Duration;

use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{SOON, cluster_is_ready};

/// Exits are told at once, silence after the health deadline.
const TOLD_WITHIN: Duration = Duration::from_secs(90);

fn app(main: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.py"), main).unwrap();
    folder
}

/// Deploys an app that must fail; returns what the command line said, and how long it took.
async fn failure(user: &User, name: &str, main: &str) -> (String, Duration) {
    let folder = app(main);
    let asked = Instant::now();
    let ran = user.run(&["deploy", folder.path().to_str().unwrap(), "--name", name]).await.unwrap();
    assert_eq!(ran.code, 6, "{} {}", ran.stdout, ran.stderr);
    let said: Value = serde_json::from_str(&ran.stderr).unwrap();
    (said["error"].as_str().unwrap().to_owned(), asked.elapsed())
}

#[tokio::test]
async fn an_app_that_ends_or_hides_fails_by_name_and_leaves_nothing() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "neighbour", 1).await.unwrap();
    let crowd = Crowd::start(&url, 2, "neighbour");

    let (said, took) =
        failure(&user, "quitter", "print('no licence found', flush=True)\nraise SystemExit(3)\n")
            .await;
    assert!(said.starts_with("APP_EXITED") && said.contains('3'), "{said}");
    assert!(took < TOLD_WITHIN, "{took:?}");
    let status = user.does(&["status", "quitter"]).await.unwrap();
    assert!(status["failure"]["output"].to_string().contains("no licence found"), "{status}");

    let elsewhere = "import http.server as h\nh.ThreadingHTTPServer(('0.0.0.0', 5000), h.SimpleHTTPRequestHandler).serve_forever()\n";
    let (said, took) = failure(&user, "elsewhere", elsewhere).await;
    assert!(said.starts_with("HEALTH_TIMEOUT") && said.contains(":5000"), "{said}");
    assert!(took < TOLD_WITHIN, "{took:?}");

    let loopback = elsewhere.replace("0.0.0.0", "127.0.0.1").replace("5000", "8080");
    let (said, _) = failure(&user, "loopback", &loopback).await;
    assert!(said.starts_with("HEALTH_TIMEOUT") && said.contains("127.0.0.1:8080"), "{said}");

    let nothing = async || {
        let truth = truth::read().await?;
        let failed = |name: &str| ["quitter", "elsewhere", "loopback"].contains(&name);
        let left = truth.containers.iter().filter(|container| failed(&container.instance)).count();
        anyhow::ensure!(left == 0, "{:?}", truth.containers);
        truth.is_consistent()
    };
    wait::until("nothing of the failed apps is left", SOON, nothing).await.unwrap();
    let first_failure = crowd.first_failure();
    assert_eq!(crowd.finish().await.failed, 0, "{first_failure:?}");
    user.does(&["stop", "neighbour"]).await.unwrap();
}

/// Tries to connect to everything an app must not reach, and answers with what let it in.
const SCANNER: &str = r#"
import http.server, json, os, socket
TARGETS = [(f"172.30.7.{host}", port) for host in (1, 2, 3, 4, 11, 12, 21, 22, 23, 24)
           for port in (22, 2181, 2375, 5000, 7443, 8010, 8030, 8040, 8050, 9010, 9030, 9040, 9050, 9092, 9093)]
TARGETS += [("169.254.169.254", 80)]
TARGETS += [(f"172.30.7.{host}", port) for host in (11, 12) for port in range(20000, 20006)]
TARGETS += [(socket.gethostbyname(socket.gethostname()).rsplit(".", 1)[0] + ".1", port) for port in (22, 7443, 2375)]

def reached():
    found = []
    for address in TARGETS:
        try:
            socket.create_connection(address, timeout=0.1).close()
            found.append(":".join(map(str, address)))
        except OSError:
            pass
    return found

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"reached": reached() if self.path == "/scan" else None, "tried": len(TARGETS)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"#;

#[tokio::test]
async fn an_app_that_looks_around_reaches_nothing_of_the_platform_and_no_other_app() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "prey", 2).await.unwrap();
    let url = user.deploy(app(SCANNER).path(), "scanner", 1).await.unwrap();
    let answer: Value = reqwest::get(format!("{url}/scan")).await.unwrap().json().await.unwrap();
    assert!(answer["tried"].as_u64().unwrap() > 100, "{answer}");
    assert_eq!(answer["reached"], serde_json::json!([]));
    user.does(&["stop", "scanner"]).await.unwrap();
    user.does(&["stop", "prey"]).await.unwrap();
}
