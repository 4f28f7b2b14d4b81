//! Apps that end, hang, hide or lie about their health: each fails by name and in time, and leaves nothing.

use std::fs;
use std::time::Duration;

use e2e::bystander::Bystander;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{SOON, cluster_is_ready};

/// From the command to its end, an app that ends at once.
const EXIT_WITHIN: Duration = Duration::from_secs(15);
/// The health deadline, and what the others' builds take meanwhile.
const SILENCE_WITHIN: Duration = Duration::from_secs(100);
/// The second replica of an app is stopped after a minute, which may take ten seconds, and has to start.
const STARTED_AGAIN_WITHIN: Duration = Duration::from_secs(150);

/// Answers everything; what is special about an app stands before it.
const SERVER: &str = r#"
import http.server, os, sys, threading, time
STATUS, DELAY, HOST, PORT, LIFE = 200, 0, "0.0.0.0", int(os.environ["PORT"]), 0
@
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global DELAY
        if self.path == "/hang":
            DELAY = 3600
        time.sleep(DELAY)
        self.send_response(STATUS)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")
        if LIFE == "once":
            self.server.socket.close()
    def log_message(self, *_):
        pass
if LIFE not in (0, "once"):
    threading.Timer(LIFE, os._exit, [1]).start()
http.server.ThreadingHTTPServer((HOST, PORT), Answer).serve_forever()
"#;

fn server(special: &str) -> String {
    SERVER.replace('@', special)
}

fn app(main: &str, settings: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.py"), main).unwrap();
    fs::write(folder.path().join("avishkar.toml"), settings).unwrap();
    folder
}

/// Deploys an app that must fail; returns what the command line said, and how long it took.
async fn failure(user: &User, name: &str, folder: &TempDir) -> (String, Duration) {
    let asked = Instant::now();
    let ran = user.run(&["deploy", folder.path().to_str().unwrap(), "--name", name]).await.unwrap();
    assert_eq!(ran.code, 6, "{name}: {} {}", ran.stdout, ran.stderr);
    let said: Value = serde_json::from_str(&ran.stderr).unwrap();
    (said["error"].as_str().unwrap().to_owned(), asked.elapsed())
}

/// What failed has left nothing on any node, in the registry or in the edge's table.
async fn nothing_of(names: &[&str]) {
    let nothing = async || {
        let truth = truth::read().await?;
        let left = truth.containers.iter().filter(|one| names.contains(&one.instance.as_str()));
        anyhow::ensure!(left.count() == 0, "{:?}", truth.containers);
        truth.is_consistent()
    };
    wait::until("nothing of the failed apps is left", SOON, nothing).await.unwrap();
}

#[tokio::test]
async fn an_app_that_ends_at_once_is_told_with_its_code_and_its_last_words() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let talker = "for n in range(80): print('line', n, flush=True)\nraise SystemExit(3)\n";
    let (talker, quiet) = (app(talker, ""), app("pass\n", ""));
    let ((talked, first), (silent, second)) =
        tokio::join!(failure(&user, "talker", &talker), failure(&user, "quiet", &quiet));
    assert!(talked.starts_with("APP_EXITED") && talked.contains("code 3"), "{talked}");
    assert!(silent.starts_with("APP_EXITED") && silent.contains("code 0"), "{silent}");
    assert!(first < EXIT_WITHIN && second < EXIT_WITHIN, "{first:?}, {second:?}");
    let status = user.does(&["status", "talker"]).await.unwrap();
    let words: Vec<&str> =
        status["failure"]["output"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let last: Vec<String> = (30..80).map(|number| format!("line {number}")).collect();
    assert_eq!(words, last);
    nothing_of(&["talker", "quiet"]).await;
    bystander.unharmed(0..=2).await.unwrap();
}

#[tokio::test]
async fn a_release_that_fails_leaves_the_one_before_serving() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "steady", 1).await.unwrap();
    let crowd = Crowd::start(&url, 2, "steady");
    let (said, took) = failure(&user, "steady", &app("raise SystemExit(7)\n", "")).await;
    assert!(said.starts_with("APP_EXITED") && said.contains("code 7"), "{said}");
    assert!(took < EXIT_WITHIN, "{took:?}");
    let settled = async || truth::read().await?.is_consistent();
    wait::until("what failed is gone", SOON, settled).await.unwrap();
    let asked = crowd.answered();
    let goes_on = async || {
        anyhow::ensure!(crowd.answered() > asked + 20, "{} answers", crowd.answered());
        Ok(())
    };
    wait::until("the release before serves", SOON, goes_on).await.unwrap();
    crowd.finish_without_failure().await.unwrap();
    user.does(&["stop", "steady"]).await.unwrap();
}

#[tokio::test]
async fn an_app_that_is_never_healthy_fails_in_time_and_says_what_was_found() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let bystander = Bystander::watch(&user).await.unwrap();
    let health = "health = \"/health\"\n";
    let apps = [
        ("elsewhere", app(&server("PORT = 5000"), ""), ["nothing listens on 8080", ":5000"]),
        ("loopback", app(&server("HOST = '127.0.0.1'"), ""), ["on 8080", "127.0.0.1:8080"]),
        ("deaf", app("import time\ntime.sleep(600)\n", ""), ["nothing listens on 8080", ""]),
        ("ill", app(&server("STATUS = 500"), health), ["GET /health on 8080 answered 500", ""]),
        ("slow", app(&server("DELAY = 30"), health), ["GET /health on 8080 was not answered", ""]),
    ];
    let failures = apps.iter().map(|(name, folder, _)| failure(&user, name, folder));
    let failures = futures::future::join_all(failures);
    let (failures, (), (), ()) =
        tokio::join!(failures, dies(&user), falls_ill(&user), hangs(&user));
    for ((said, took), (name, _, clues)) in failures.iter().zip(&apps) {
        assert!(said.starts_with("HEALTH_TIMEOUT"), "{name}: {said}");
        assert!(clues.iter().all(|clue| said.contains(clue)), "{name}: {said}");
        assert!(*took < SILENCE_WITHIN, "{name}: {took:?}");
    }
    nothing_of(&["elsewhere", "loopback", "deaf", "ill", "slow"]).await;
    bystander.unharmed(0..=8).await.unwrap();
}

/// Deploys an app that is healthy at first, and waits for what its status says then.
async fn later(user: &User, name: &str, main: &str, is_told: impl Fn(&Value) -> bool) {
    let folder = app(main, "");
    user.deploy(folder.path(), name, 1).await.unwrap();
    let told = async || {
        let status = user.does(&["status", name]).await?;
        anyhow::ensure!(is_told(&status), "{status}");
        Ok(())
    };
    wait::until("what became of it is told", SILENCE_WITHIN, told).await.unwrap();
    user.does(&["stop", name]).await.unwrap();
}

/// One that ends again and again is started again, later each time, and told of by name.
async fn dies(user: &User) {
    later(user, "looper", &server("LIFE = 8"), |status| status["failure"]["code"] == "CRASH_LOOP")
        .await;
}

/// One that lives on and answers no more.
async fn falls_ill(user: &User) {
    let is_told = |status: &Value| status["replicas"][0]["state"] == "unhealthy";
    later(user, "once", &server("LIFE = 'once'"), is_told).await;
}

/// One replica of two that takes requests and answers none: visitors meet it until its node's agent has found it ill, and
/// then no more; it is started again, and serves.
async fn hangs(user: &User) {
    let folder = app(&server(""), "health = \"/health\"\n");
    let url = user.deploy(folder.path(), "hung", 2).await.unwrap();
    let impatient = reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
    let hang = format!("{}/hang", url.trim_end_matches('/'));
    assert!(impatient.get(hang).send().await.unwrap_err().is_timeout());
    let decided = async |kind: &str| {
        let course = user.does(&["why", "hung"]).await?["course"].take();
        anyhow::ensure!(course[0]["kind"] == kind, "{course}");
        Ok(())
    };
    wait::until("it is left out", SOON, || decided("left_out")).await.unwrap();
    let replicas = async |of: &[&str]| {
        let told = user.does(&["status", "hung"]).await?["replicas"].take();
        let states = told.as_array().into_iter().flatten().filter_map(|one| one["state"].as_str());
        let mut states: Vec<&str> = states.collect();
        states.sort_unstable();
        anyhow::ensure!(states == of, "{told}");
        Ok(())
    };
    replicas(&["ready", "unhealthy"]).await.unwrap();
    let visitors = Crowd::start(&url, 2, "ok");
    wait::until("it is back", STARTED_AGAIN_WITHIN, || decided("put_back")).await.unwrap();
    replicas(&["ready", "ready"]).await.unwrap();
    visitors.finish_without_failure().await.unwrap();
    user.does(&["stop", "hung"]).await.unwrap();
}
