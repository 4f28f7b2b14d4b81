//! From an injected message to the first answer at the front door, over the raw Docker API on the same engine; with few
//! apps beside, and with many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::id::RequestId;
use common::topic::Topic;
use e2e::bus::Injector;
use e2e::cluster::{self, NODES};
use e2e::platform::sample;
use serde_json::Value;
use tokio::time::Instant;

use crate::command_line::avishkar;
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::report::progress;
use crate::samples::argument;
use crate::servers::address_of;
use crate::stage::{APP, Stage};
use crate::{http, kernel};

const PAIRS: usize = 15;
const GOAL: Goal = Goal::AtMost(1.3);
/// How many apps are registered beside at last, the one that is deployed among them.
const CROWD: u16 = 500;
/// How often a release is deployed until every node has had it.
const SPREADS: usize = 5;
/// Where the edge tells apps apart by host name: the same address before and after a deployment.
pub(crate) const FRONT_DOOR: ([u8; 4], u16) = ([127, 0, 0, 1], 8088);
const FLOOR: &str = "avishkar-bench-floor";
/// Outside of what the platform gives out.
const FLOOR_PORT: u16 = 30200;
pub(crate) const WITHIN: Duration = Duration::from_mins(1);

/// One deployment, and where it went.
pub(crate) struct Deployed {
    took: Duration,
    pub(crate) node: String,
    /// As its engine describes it.
    pub(crate) container: Value,
}

pub(crate) async fn measure(figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    make_release(1).await?;
    figures.push(pairs("deploy_ms").await?);
    let stage = Stage::set_up().await?;
    stage.crowd(1..CROWD).await?;
    figures.push(pairs(&format!("deploy_ms_with_{CROWD}_apps")).await?);
    Ok(())
}

/// Pairs in turns: the platform, then the raw API on the node that the platform chose.
async fn pairs(name: &str) -> anyhow::Result<Figure> {
    let injector = Injector::connect()?;
    let mut engines = BTreeMap::new();
    for node in NODES {
        engines.insert(node.to_owned(), Engine::of(node).await?);
    }
    let mut pairs = Vec::new();
    let mut busiest: f64 = 0.0;
    // The first pair warms both sides up and is not counted.
    for pair in 0..=PAIRS {
        busiest = busiest.max(kernel::settled().await?);
        let deployed = through_the_platform(&injector).await?;
        stop(&injector).await?;
        busiest = busiest.max(kernel::settled().await?);
        let engine = engines.get_mut(&deployed.node).context("the app is on no node")?;
        let floor = by_hand(engine, &deployed.node, &deployed.container).await?;
        let (value, floor) = (milliseconds(deployed.took), milliseconds(floor));
        progress(&format!(
            "{name}: pair {pair} on {}: {value:.0} ms over {floor:.0} ms",
            deployed.node
        ));
        if pair > 0 {
            pairs.push((value, floor));
        }
    }
    let round_trip =
        engines.values().map(Engine::round_trip).max().map(milliseconds).unwrap_or_default();
    for engine in engines.into_values() {
        engine.close().await?;
    }
    let note = format!(
        "{} pairs; {round_trip:.1} ms a request for the pipe to the engine taken off the floor; at most {:.0} % in use before one",
        pairs.len(),
        100.0 * busiest
    );
    Ok(Figure::of_pairs(name, &pairs, GOAL).with_note(note))
}

/// The release is built, and its image is on every node; then the app is stopped, and will have so many replicas when
/// it is deployed again.
pub(crate) async fn make_release(replicas: usize) -> anyhow::Result<()> {
    progress("making a release of samples/hello, on every node");
    let mut without = BTreeSet::from(NODES);
    for _ in 0..SPREADS {
        let made = deploy_sample(NODES.len()).await?;
        for replica in made["replicas"].as_array().into_iter().flatten() {
            without.retain(|node| replica["node"] != *node);
        }
        // Both may be on one node for once, where the other has replicas that are about to go.
        if without.is_empty() {
            break;
        }
    }
    ensure!(without.is_empty(), "no replica of {SPREADS} releases is on {without:?}");
    deploy_sample(replicas).await?;
    avishkar(&["stop", APP]).await.map(drop)
}

/// Another release of the same files; returns how it is then.
pub(crate) async fn deploy_sample(replicas: usize) -> anyhow::Result<Value> {
    let folder = sample("hello");
    let count = replicas.to_string();
    avishkar(&["deploy", argument(&folder)?, "--name", APP, "--replicas", &count]).await
}

pub(crate) async fn through_the_platform(injector: &Injector) -> anyhow::Result<Deployed> {
    let door = SocketAddr::from(FRONT_DOOR);
    let host = format!("{APP}.example.org");
    let before = http::status(door, &http::get(&host)).await?;
    ensure!(before == 404, "{host} already answers {before}");
    let request = new_request()?;
    let from = injector.end(&Topic::FirstTopic.into()).await?;
    let text = format!("deploy app${APP}");

    let began = Instant::now();
    let sent = injector.send(Topic::DeploymentManager, request, &text);
    let (sent, answered) = tokio::join!(sent, http::first_200(door, &host, WITHIN));
    sent?;
    let took = answered?.duration_since(began);

    let said = injector.answer(request, from, WITHIN).await?;
    ensure!(said.starts_with(&format!("done {APP} deploy - ")), "{said}");
    let status = avishkar(&["status", APP]).await?;
    let node = status["replicas"][0]["node"].as_str().context("the app is on no node")?.to_owned();
    let container = described(&node, &format!("{APP}_instance_1")).await?;
    Ok(Deployed { took, node, container })
}

/// A container as the engine of its node describes it.
pub(crate) async fn described(node: &str, name: &str) -> anyhow::Result<Value> {
    let inspected = cluster::exec(node, &["docker", "inspect", name]).await?;
    let mut inspected: Vec<Value> = serde_json::from_str(&inspected)?;
    inspected.pop().with_context(|| format!("{name} is not on {node}"))
}

pub(crate) async fn stop(injector: &Injector) -> anyhow::Result<()> {
    let request = new_request()?;
    let from = injector.end(&Topic::FirstTopic.into()).await?;
    injector.send(Topic::DeploymentManager, request, &format!("stop app${APP}")).await?;
    let said = injector.answer(request, from, WITHIN).await?;
    ensure!(said == format!("done stopped${APP}"), "{said}");
    Ok(())
}

/// The same container on the same node through the raw API, until it answers.
pub(crate) async fn by_hand(
    engine: &mut Engine,
    node: &str,
    container: &Value,
) -> anyhow::Result<Duration> {
    let body = engine.body_like(container, FLOOR_PORT).await?;
    let at = SocketAddr::new(address_of(node).await?, FLOOR_PORT);
    let began = Instant::now();
    // Asked only once it is started: a question that comes before its network is there would wait a second for it.
    let answered = match engine.run(FLOOR, &body).await {
        Ok(()) => http::first_200(at, "floor", WITHIN).await,
        Err(err) => Err(err),
    };
    let took = answered.map(|answered| answered.duration_since(began));
    engine.remove(FLOOR).await?;
    // Two requests went through the pipe, which somebody on the node would not need.
    Ok(took?.saturating_sub(engine.round_trip() * 2))
}

/// A request nobody made before, from the kernel.
pub(crate) fn new_request() -> anyhow::Result<RequestId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.trim().parse()?)
}
