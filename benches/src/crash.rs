//! From the death of an app's only container to the next answer at the front door, over the raw Docker API on the same
//! engine; and what users notice of it where there is a second replica.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use e2e::bus::Injector;
use e2e::cluster::NODES;
use e2e::platform::sample;
use tokio::time::Instant;

use crate::command_line::avishkar;
use crate::deploy::{FRONT_DOOR, WITHIN, by_hand, make_release, stop, through_the_platform};
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::report::progress;
use crate::stage::APP;
use crate::{crowd, http, kernel};

const PAIRS: usize = 10;
const OVER_THE_FLOOR: Goal = Goal::AtMost(1.3);
const FAILED: Goal = Goal::AtMost(0.0);
const CLIENTS: usize = 16;

pub(crate) async fn measure() -> anyhow::Result<Vec<Figure>> {
    make_release().await?;
    let mut engines = BTreeMap::new();
    for node in NODES {
        engines.insert(node.to_owned(), Engine::of(node).await?);
    }
    let figures = vec![alone(&mut engines).await?, beside_another(&mut engines).await?];
    for engine in engines.into_values() {
        engine.close().await?;
    }
    Ok(figures)
}

/// Each death is the first of its container: nobody is measured who waits for having died often.
async fn alone(engines: &mut BTreeMap<String, Engine>) -> anyhow::Result<Figure> {
    let injector = Injector::connect()?;
    let mut pairs = Vec::new();
    // The first pair warms both sides up and is not counted.
    for pair in 0..=PAIRS {
        let deployed = through_the_platform(&injector).await?;
        let engine = engines.get_mut(&deployed.node).context("the app is on no node")?;
        kernel::settled().await?;
        let began = Instant::now();
        engine.kill(&format!("{APP}_instance_1")).await?;
        let answered =
            http::first_200(FRONT_DOOR.into(), &format!("{APP}.example.org"), WITHIN).await?;
        let value =
            milliseconds(answered.duration_since(began).saturating_sub(engine.round_trip()));
        stop(&injector).await?;
        kernel::settled().await?;
        let floor = milliseconds(by_hand(engine, &deployed).await?);
        progress(&format!("crash: pair {pair}: {value:.0} ms over {floor:.0} ms"));
        if pair > 0 {
            pairs.push((value, floor));
        }
    }
    let note = format!("{} pairs; the floor creates and starts, and is asked", pairs.len());
    Ok(Figure::of_pairs("crash_ms", &pairs, OVER_THE_FLOOR).with_note(note))
}

async fn beside_another(engines: &mut BTreeMap<String, Engine>) -> anyhow::Result<Figure> {
    let folder = sample("hello");
    let folder = folder.to_str().context("a sample's path is UTF-8")?;
    let made = avishkar(&["deploy", folder, "--name", APP, "--replicas", "2"]).await?;
    let replicas = made["replicas"].as_array().context("there are no replicas")?;
    let node = replicas.first().and_then(|one| one["node"].as_str()).context("it has no node")?;
    let engine = engines.get_mut(node).context("it is on no node")?;
    let killing = async {
        engine.kill(&format!("{APP}_instance_1")).await?;
        e2e::wait::until("two replicas serve again", WITHIN, async || {
            let status = avishkar(&["status", APP]).await?;
            let replicas = status["replicas"].as_array().context("there are no replicas")?;
            let ready = replicas.iter().filter(|one| one["state"] == "ready").count();
            ensure!(ready == 2, "{status}");
            Ok(())
        })
        .await
    };
    let host = format!("{APP}.example.org");
    let (killed, tally) = crowd::during(FRONT_DOOR.into(), &host, CLIENTS, killing).await;
    killed?;
    let failed = f64::from(u32::try_from(tally.failed).unwrap_or(u32::MAX));
    let figure = Figure::of_value("failed_in_a_crash_beside_another", failed, FAILED);
    Ok(Figure { floor: Some(0.0), ..figure }.with_note(tally.told()))
}
