//! A deploy of six replicas of an image that is there, until all of them serve, beside Docker Swarm's `service create` on
//! the same two engines.

mod swarm;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::topic::Topic;
use e2e::bus::Injector;
use e2e::cluster::NODES;
use tokio::time::{Instant, sleep, timeout};

use crate::deploy::{FRONT_DOOR, WITHIN, make_release, new_request, stop};
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::report::progress;
use crate::servers::address_of;
use crate::stage::APP;
use crate::{http, kernel};

pub(crate) use swarm::clear;

const REPLICAS: usize = 6;
const PAIRS: usize = 15;
const GOAL: Goal = Goal::AtMost(1.0);
/// How often the engines are asked what runs; both sides are looked at in the same way.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A replica that serves answers at once.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);

/// A node, as whoever looks at it from outside has it.
struct Node {
    engine: Engine,
    ip: IpAddr,
}

/// Pairs in turns: the platform, then the swarm.
pub(crate) async fn measure() -> anyhow::Result<Figure> {
    make_release(REPLICAS).await?;
    let mut nodes = Vec::new();
    for name in NODES {
        nodes.push(Node { engine: Engine::of(name).await?, ip: address_of(name).await? });
    }
    let injector = Injector::connect()?;
    swarm::start(&mut nodes).await?;
    let mut pairs = Vec::new();
    // The first pair warms both sides up and is not counted.
    for pair in 0..=PAIRS {
        kernel::settled().await?;
        let (ours, container) = through_the_platform(&injector, &mut nodes).await?;
        stop(&injector).await?;
        kernel::settled().await?;
        let theirs = swarm::create(&mut nodes, &container).await?;
        swarm::remove(&mut nodes).await?;
        let (ours, theirs) = (milliseconds(ours), milliseconds(theirs));
        progress(&format!("replicas: pair {pair}: {ours:.0} ms over {theirs:.0} ms"));
        if pair > 0 {
            pairs.push((ours, theirs));
        }
    }
    for node in nodes {
        node.engine.close().await?;
    }
    let note = format!(
        "{PAIRS} pairs of {REPLICAS} replicas, until each has answered at its own port, and the platform's front door too; \
         the swarm has the same two engines, image and limits"
    );
    Ok(Figure::of_pairs("deploy_6_ms_over_swarm", &pairs, GOAL).with_note(note))
}

/// From the message to the answers; and one of the containers.
async fn through_the_platform(
    injector: &Injector,
    nodes: &mut [Node],
) -> anyhow::Result<(Duration, serde_json::Value)> {
    let request = new_request()?;
    let from = injector.end(&Topic::FirstTopic.into()).await?;
    let text = format!("deploy app${APP}");
    let host = format!("{APP}.example.org");
    let began = Instant::now();
    injector.send(Topic::DeploymentManager, request, &text).await?;
    all_serve(nodes, &format!("avishkar.instance={APP}")).await?;
    let took = http::first_200(FRONT_DOOR.into(), &host, WITHIN).await?.duration_since(began);
    let said = injector.answer(request, from, WITHIN).await?;
    ensure!(said.starts_with(&format!("done {APP} deploy - ")), "{said}");
    let node = nodes.first_mut().context("there are no nodes")?;
    let found = node.engine.labelled(&format!("avishkar.instance={APP}")).await?;
    let id = found.first().and_then(|one| one["Id"].as_str()).context("it has no replica")?;
    let container = node.engine.inspect(id).await?;
    Ok((took, container))
}

/// Returns once all replicas with this label have answered at their own ports.
async fn all_serve(nodes: &mut [Node], label: &str) -> anyhow::Result<()> {
    let request = http::get("replica");
    let give_up = Instant::now() + WITHIN;
    let mut serve = BTreeSet::new();
    while serve.len() < REPLICAS {
        for at in ports(nodes, label).await? {
            if !serve.contains(&at)
                && matches!(timeout(ANSWER_WITHIN, http::status(at, &request)).await, Ok(Ok(200)))
            {
                serve.insert(at);
            }
        }
        ensure!(Instant::now() < give_up, "of {label} only {serve:?} serve");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Where containers with this label are reached.
async fn ports(nodes: &mut [Node], label: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for node in nodes {
        for container in node.engine.labelled(label).await? {
            let ports = container["Ports"].as_array().into_iter().flatten();
            let public = ports.filter_map(|port| u16::try_from(port["PublicPort"].as_u64()?).ok());
            found.extend(public.map(|port| SocketAddr::new(node.ip, port)));
        }
    }
    Ok(found)
}
