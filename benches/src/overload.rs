//! From the first moment of too much load to the first answer of one more replica, over the raw Docker API's start.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use e2e::cluster::NODES;
use futures::future::select_all;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::burner::COOLDOWN;
use crate::command_line::avishkar;
use crate::deploy::{WITHIN, by_hand, described};
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::report::progress;
use crate::stage::BURNER;
use crate::{burner, kernel};

const TRIALS: usize = 15;
/// What is left of the time after half a second, over the floor.
const GOAL: Goal = Goal::AtMost(1.3);
const HALF_A_SECOND: f64 = 500.0;
/// The replica that burns has used up what it may in a tenth of a second after a third of it, and answers nobody until the
/// next: so several ask, and whoever waits for long asks anew.
const ASKERS: u32 = 8;
const PATIENCE: Duration = Duration::from_millis(40);
const APART: Duration = Duration::from_millis(5);

pub(crate) async fn measure() -> anyhow::Result<Figure> {
    burner::deploy().await?;
    let mut engines = BTreeMap::new();
    for node in NODES {
        engines.insert(node.to_owned(), Engine::of(node).await?);
    }
    let mut pairs = Vec::new();
    // The first trial warms both sides up and is not counted.
    for trial in 0..=TRIALS {
        burner::has(1).await?;
        // Else the wait would be for that.
        sleep(COOLDOWN).await;
        let before = slots().await?;
        kernel::settled().await?;
        let took = overload().await?;
        let (node, container) = added(&before).await?;
        burner::has(1).await?;
        kernel::settled().await?;
        let engine = engines.get_mut(&node).with_context(|| format!("{node} is no node"))?;
        let floor = milliseconds(by_hand(engine, &node, &container).await?);
        progress(&format!("overload: trial {trial}: {took:.0} ms, the start alone {floor:.0} ms"));
        if trial > 0 {
            pairs.push((took - HALF_A_SECOND, floor));
        }
    }
    for engine in engines.into_values() {
        engine.close().await?;
    }
    burner::stop().await?;
    let note = format!(
        "{TRIALS} trials; the value is without the half second that it may take to be sure, the floor starts the same container"
    );
    Ok(Figure::of_pairs("overload_ms", &pairs, GOAL).with_note(note))
}

/// The numbers and nodes of its replicas.
async fn slots() -> anyhow::Result<BTreeMap<u64, String>> {
    let status = avishkar(&["status", BURNER]).await?;
    let replicas = status["replicas"].as_array().context("there are no replicas")?;
    let slot = |one: &Value| Some((one["slot"].as_u64()?, one["node"].as_str()?.to_owned()));
    Ok(replicas.iter().filter_map(slot).collect())
}

/// The replica that has come: its node, and its container.
async fn added(before: &BTreeMap<u64, String>) -> anyhow::Result<(String, Value)> {
    let now = slots().await?;
    let added = now.into_iter().find(|(slot, _)| !before.contains_key(slot));
    let (slot, node) = added.context("no replica has come")?;
    let container = described(&node, &format!("{BURNER}_instance_{slot}")).await?;
    Ok((node, container))
}

/// From the request that makes it burn.
async fn overload() -> anyhow::Result<f64> {
    let began = Instant::now();
    let connection = burner::ask("/burn").await?;
    let first = connection.body();
    let apart = PATIENCE / ASKERS;
    let asks = (0..ASKERS).map(|number| {
        Box::pin(async move {
            sleep(apart * number).await;
            until_another_answers(first).await;
        })
    });
    let answered = timeout(WITHIN, select_all(asks)).await;
    let took = began.elapsed();
    answered.with_context(|| format!("no other replica answered within {WITHIN:?}"))?;
    Ok(milliseconds(took))
}

async fn until_another_answers(first: &[u8]) {
    loop {
        let asked = timeout(PATIENCE, burner::ask("/")).await;
        if asked.is_ok_and(|answer| answer.is_ok_and(|connection| connection.body() != first)) {
            return;
        }
        sleep(APART).await;
    }
}
