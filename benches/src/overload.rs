//! From the first moment of too much load to the first answer of one more replica, over the raw Docker API's start.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::bus::Injector;
use e2e::cluster::NODES;
use tokio::time::{Instant, sleep};

use crate::command_line::avishkar;
use crate::deploy::{FRONT_DOOR, WITHIN, by_hand, make_release, stop, through_the_platform};
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::http::{self, Connection};
use crate::kernel;
use crate::report::progress;
use crate::stage::BURNER;

const TRIALS: usize = 5;
/// What is left of the time after half a second, over the floor.
const GOAL: Goal = Goal::AtMost(1.3);
const HALF_A_SECOND: f64 = 500.0;
/// Longer than the cooldown of the settings below: the replica that came goes again.
const GOES_WITHIN: Duration = Duration::from_mins(3);
/// Burns for a while after a request for it, and says which replica answers.
const MAIN: &str = r#"
import http.server, os, threading, time

def burn(until):
    while time.monotonic() < until:
        pass

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/burn":
            until = time.monotonic() + 4
            threading.Thread(target=burn, args=(until,), daemon=True).start()
        said = os.uname().nodename.encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"#;
const SETTINGS: &str = "cpus = 0.3\n[scaling]\nmin = 1\nmax = 2\ncooldown = 3\n";

pub(crate) async fn measure() -> anyhow::Result<Figure> {
    make_release().await?;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("main.py"), MAIN)?;
    fs::write(folder.path().join("avishkar.toml"), SETTINGS)?;
    let source = folder.path().to_str().context("a temporary path is UTF-8")?;
    // Its image is on every node before anything is measured.
    for replicas in [NODES.len(), 1] {
        avishkar(&["deploy", source, "--name", BURNER, "--replicas", &replicas.to_string()])
            .await?;
    }
    let injector = Injector::connect()?;
    let mut engines = BTreeMap::new();
    for node in NODES {
        engines.insert(node.to_owned(), Engine::of(node).await?);
    }
    let mut pairs = Vec::new();
    for trial in 0..TRIALS {
        replicas(1).await?;
        kernel::settled().await?;
        let took = overload().await?;
        replicas(1).await?;
        let deployed = through_the_platform(&injector).await?;
        stop(&injector).await?;
        kernel::settled().await?;
        let engine = engines.get_mut(&deployed.node).context("the app is on no node")?;
        let floor = milliseconds(by_hand(engine, &deployed).await?);
        progress(&format!("overload: trial {trial}: {took:.0} ms, the start alone {floor:.0} ms"));
        pairs.push((took - HALF_A_SECOND, floor));
    }
    for engine in engines.into_values() {
        engine.close().await?;
    }
    avishkar(&["stop", BURNER]).await?;
    let note = format!(
        "{TRIALS} trials; the value is without the half second that it may take to be sure"
    );
    Ok(Figure::of_pairs("overload_ms", &pairs, GOAL).with_note(note))
}

/// Waits until it has so many replicas.
async fn replicas(count: usize) -> anyhow::Result<()> {
    e2e::wait::until("the burner has its replicas", GOES_WITHIN, async || {
        let status = avishkar(&["status", BURNER]).await?;
        let there = status["replicas"].as_array().context("there are no replicas")?.len();
        ensure!(there == count, "{there} replicas");
        Ok(())
    })
    .await
}

/// From the request that makes it burn.
async fn overload() -> anyhow::Result<f64> {
    let host = format!("{BURNER}.example.org");
    let mut connection = Connection::open(FRONT_DOOR.into()).await?;
    let began = Instant::now();
    let burn = format!("GET /burn HTTP/1.1\r\nHost: {host}\r\n\r\n");
    connection.ask(burn.as_bytes()).await?;
    let first = connection.body().to_vec();
    while began.elapsed() < WITHIN {
        let answer = connection.ask(&http::get(&host)).await?;
        if answer.status == 200 && connection.body() != first {
            return Ok(milliseconds(began.elapsed()));
        }
        sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("no other replica answered within {WITHIN:?}")
}
