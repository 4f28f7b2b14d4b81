//! The platform in one process: how fast it starts, what it takes while nothing happens, and a deployment over the raw
//! Docker API on the same engine. Measured without the cluster, which cannot run beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::docker::docker;
use e2e::platform::{User, sample};
use e2e::single::Single;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::engine::Engine;
use crate::figure::{Figure, Goal, median, milliseconds};
use crate::report::progress;
use crate::samples::{copy_of, note};
use crate::stage::APP;
use crate::{http, kernel};

const STARTS: usize = 5;
const START: Goal = Goal::AtMost(1.5);
const IDLE: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const MEGABYTES: Goal = Goal::AtMost(60.0);
const PERCENT: Goal = Goal::AtMost(2.0);
const PAIRS: usize = 15;
const DEPLOY: Goal = Goal::AtMost(1.2);
const REBUILDS: usize = 3;
const REBUILT: &str = "flask";
/// What `make up` promises: seconds.
const REBUILD: Goal = Goal::AtMost(10.0);
const FRONT_DOOR: ([u8; 4], u16) = ([127, 0, 0, 1], 8088);
const FLOOR: &str = "avishkar-bench-floor";
/// Outside of what the platform gives out.
const FLOOR_PORT: u16 = 30200;
const WITHIN: Duration = Duration::from_mins(1);

/// All figures of one platform, which is gone at the end.
pub(crate) async fn measure(figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let platform = Single::new().await?;
    figures.push(starts(&platform).await?);
    let user = platform.up().await?;
    figures.extend(idle(&platform).await?);
    figures.push(deploys(&user).await?);
    figures.push(rebuilds(&user).await?);
    platform.end().await
}

/// From nothing at all to ready, the edge's container made and started.
async fn starts(platform: &Single) -> anyhow::Result<Figure> {
    let mut seconds = Vec::new();
    for _ in 0..STARTS {
        kernel::settled().await?;
        let began = Instant::now();
        platform.start().await?;
        seconds.push(began.elapsed().as_secs_f64());
        platform.end().await?;
    }
    let note = format!("{STARTS} starts: {seconds:.2?}");
    Ok(Figure::of_value("single_start_s", median(&seconds), START).with_note(note))
}

async fn idle(platform: &Single) -> anyhow::Result<[Figure; 2]> {
    progress(&format!("single: idle for {} s", IDLE.as_secs()));
    let pid = platform.process()?;
    let busy = kernel::settled().await?;
    let before = kernel::cpu_time(&[pid])?;
    let began = Instant::now();
    let mut most = 0;
    while began.elapsed() < IDLE {
        most = most.max(kernel::memory(pid)?.resident);
        sleep(LOOK_EVERY).await;
    }
    let used = kernel::cpu_time(&[pid])?.saturating_sub(before);
    let percent = 100.0 * used.as_secs_f64() / began.elapsed().as_secs_f64();
    let note = format!("of one core; the machine was {:.0} % in use as it began", 100.0 * busy);
    Ok([
        Figure::of_value("single_idle_rss_mb", megabytes(most), MEGABYTES),
        Figure::of_value("single_idle_cpu_percent", percent, PERCENT).with_note(note),
    ])
}

/// The first deploy of an app with dependencies, then one after one of its files has changed: from the command to its
/// end, the app answering.
async fn rebuilds(user: &User) -> anyhow::Result<Figure> {
    let mut pairs = Vec::new();
    for round in 0..REBUILDS {
        let place = copy_of(REBUILT)?;
        // Nobody has built with these words before: nothing of it is in a cache.
        note(&place.path().join("requirements.txt"), &place.path().display().to_string())?;
        let name = format!("{REBUILT}{round}");
        let first = deploy(user, place.path(), &name).await?;
        note(&place.path().join("main.py"), "changed")?;
        let second = deploy(user, place.path(), &name).await?;
        progress(&format!("single: built in {first:.1} s, and after a change in {second:.1} s"));
        pairs.push((second, first));
        user.does(&["stop", &name]).await?;
    }
    let figure = Figure::of_value_beside("single_rebuild_s", &pairs, REBUILD);
    Ok(figure.with_note(format!("samples/{REBUILT}, {REBUILDS} times; beside it the first build")))
}

async fn deploy(user: &User, folder: &Path, name: &str) -> anyhow::Result<f64> {
    kernel::settled().await?;
    let began = Instant::now();
    user.deploy(folder, name, 1).await?;
    Ok(began.elapsed().as_secs_f64())
}

/// Pairs in turns: the platform, then the raw API.
async fn deploys(user: &User) -> anyhow::Result<Figure> {
    progress("single: making a release of samples/hello");
    user.deploy(&sample("hello"), APP, 1).await?;
    let container = inspect().await?;
    user.does(&["stop", APP]).await?;
    let mut engine = Engine::of_this_machine().await?;
    let mut pairs = Vec::new();
    // The first pair warms both sides up and is not counted.
    for pair in 0..=PAIRS {
        kernel::settled().await?;
        let value = through_the_platform(user).await?;
        user.does(&["stop", APP]).await?;
        kernel::settled().await?;
        let floor = by_hand(&mut engine, &container).await?;
        progress(&format!("single: pair {pair}: {value:.0} ms over {floor:.0} ms"));
        if pair > 0 {
            pairs.push((value, floor));
        }
    }
    engine.close().await?;
    let note = format!("{} pairs", pairs.len());
    Ok(Figure::of_pairs("single_deploy_ms", &pairs, DEPLOY).with_note(note))
}

/// From the message to the first 200 at the front door, in milliseconds.
async fn through_the_platform(user: &User) -> anyhow::Result<f64> {
    let door = SocketAddr::from(FRONT_DOOR);
    let host = format!("{APP}.example.org");
    let before = http::status(door, &http::get(&host)).await?;
    ensure!(before == 404, "{host} already answers {before}");
    let message = json!({ "to_topic": "DeploymentManager", "msg": format!("deploy app${APP}") });
    let request = user.request(Method::POST, "/api/v1/messages").json(&message);
    let began = Instant::now();
    let (sent, answered) = tokio::join!(request.send(), http::first_200(door, &host, WITHIN));
    ensure!(sent?.status() == 202, "the message was not taken");
    let took = answered?.duration_since(began);
    let is_told = async || {
        let status = user.does(&["status", APP]).await?;
        ensure!(status["state"] == "deployed", "{status}");
        Ok(())
    };
    e2e::wait::until("the deployment is told", WITHIN, is_told).await?;
    Ok(milliseconds(took))
}

async fn inspect() -> anyhow::Result<Value> {
    let name = format!("{APP}_instance_1");
    let mut inspected: Vec<Value> = serde_json::from_str(&docker(&["inspect", &name]).await?)?;
    inspected.pop().with_context(|| format!("there is no {name}"))
}

async fn by_hand(engine: &mut Engine, container: &Value) -> anyhow::Result<f64> {
    let body = engine.body_like(container, FLOOR_PORT).await?;
    let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), FLOOR_PORT);
    let began = Instant::now();
    let answered = match engine.run(FLOOR, &body).await {
        Ok(()) => http::first_200(at, "floor", WITHIN).await,
        Err(err) => Err(err),
    };
    let took = answered.map(|answered| answered.duration_since(began));
    engine.remove(FLOOR).await?;
    Ok(milliseconds(took?.saturating_sub(engine.round_trip() * 2)))
}

#[expect(clippy::cast_precision_loss, reason = "a process has far less than 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
