//! From the first moment of too much load to the first answer of one more replica, over the raw Docker API's start.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use e2e::bus::Injector;
use e2e::cluster::NODES;
use tokio::time::{Instant, sleep};

use crate::deploy::{WITHIN, by_hand, make_release, stop, through_the_platform};
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::report::progress;
use crate::stage::BURNER;
use crate::{burner, http, kernel};

const TRIALS: usize = 5;
/// What is left of the time after half a second, over the floor.
const GOAL: Goal = Goal::AtMost(1.3);
const HALF_A_SECOND: f64 = 500.0;

pub(crate) async fn measure() -> anyhow::Result<Figure> {
    make_release(1).await?;
    burner::deploy().await?;
    let injector = Injector::connect()?;
    let mut engines = BTreeMap::new();
    for node in NODES {
        engines.insert(node.to_owned(), Engine::of(node).await?);
    }
    let mut pairs = Vec::new();
    for trial in 0..TRIALS {
        burner::has(1).await?;
        kernel::settled().await?;
        let took = overload().await?;
        burner::has(1).await?;
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
    burner::stop().await?;
    let note = format!(
        "{TRIALS} trials; the value is without the half second that it may take to be sure"
    );
    Ok(Figure::of_pairs("overload_ms", &pairs, GOAL).with_note(note))
}

/// From the request that makes it burn.
async fn overload() -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut connection = burner::ask("/burn").await?;
    let first = connection.body().to_vec();
    let again = http::get(&format!("{BURNER}.example.org"));
    while began.elapsed() < WITHIN {
        let answer = connection.ask(&again).await?;
        if answer.status == 200 && connection.body() != first {
            return Ok(milliseconds(began.elapsed()));
        }
        sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("no other replica answered within {WITHIN:?}")
}
