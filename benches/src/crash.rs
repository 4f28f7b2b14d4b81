//! From the death of an app's only container to the next answer at the front door, over the raw Docker API and over the
//! engine's own `restart=always` on the same engine; and what users notice of it where there is a second replica.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::bus::Injector;
use e2e::cluster::NODES;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::command_line::avishkar;
use crate::deploy::{
    Deployed, FRONT_DOOR, WITHIN, by_hand, deploy_sample, make_release, stop, through_the_platform,
};
use crate::engine::Engine;
use crate::figure::{Figure, Goal, milliseconds};
use crate::killer::{Killer, first_process_on};
use crate::report::progress;
use crate::servers::{PREFIX, address_of};
use crate::stage::APP;
use crate::{crowd, http, kernel};

const PAIRS: usize = 15;
const OVER_THE_FLOOR: Goal = Goal::AtMost(1.3);
const OVER_THE_ENGINE: Goal = Goal::AtMost(0.5);
const CLIENTS: usize = 16;
/// Of the container that the engine restarts; outside of what the platform gives out.
const PORT: u16 = 30201;
/// How often the engine is asked whether it has started the container again.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A node's engine, and what ends processes there.
struct Node {
    engine: Engine,
    killer: Killer,
}

pub(crate) async fn measure(figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    make_release(1).await?;
    let mut nodes = BTreeMap::new();
    for name in NODES {
        let node = Node { engine: Engine::of(name).await?, killer: Killer::on(name).await? };
        nodes.insert(name.to_owned(), node);
    }
    alone(&mut nodes, figures).await?;
    figures.push(beside_another(&mut nodes).await?);
    for node in nodes.into_values() {
        node.engine.close().await?;
        node.killer.close().await?;
    }
    Ok(())
}

/// Each death is the first of its container: nobody is measured who waits for having died often.
async fn alone(
    nodes: &mut BTreeMap<String, Node>,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<()> {
    let injector = Injector::connect()?;
    let (mut over_floor, mut over_engine) = (Vec::new(), Vec::new());
    // The first pair warms all sides up and is not counted.
    for pair in 0..=PAIRS {
        let deployed = through_the_platform(&injector).await?;
        let node = nodes.get_mut(&deployed.node).context("the app is on no node")?;
        let process = first_process_on(&deployed.node, &format!("{APP}_instance_1")).await?;
        kernel::settled().await?;
        let began = Instant::now();
        node.killer.kill(process).await?;
        let host = format!("{APP}.example.org");
        let answered = http::first_200(FRONT_DOOR.into(), &host, WITHIN).await?;
        let value = milliseconds(answered.duration_since(began));
        stop(&injector).await?;
        kernel::settled().await?;
        let floor = by_hand(&mut node.engine, &deployed.node, &deployed.container).await?;
        let floor = milliseconds(floor);
        let engine = milliseconds(by_the_engine(node, &deployed).await?);
        progress(&format!(
            "crash: pair {pair}: {value:.0} ms over {floor:.0} ms; restart=always {engine:.0} ms"
        ));
        if pair > 0 {
            over_floor.push((value, floor));
            over_engine.push((value, engine));
        }
    }
    let note = format!("{PAIRS} pairs; the floor creates and starts, and is asked");
    figures.push(Figure::of_pairs("crash_ms", &over_floor, OVER_THE_FLOOR).with_note(note));
    let note = format!("{PAIRS} pairs; the same container, which the engine starts again");
    let figure = Figure::of_pairs("crash_ms_over_restart_always", &over_engine, OVER_THE_ENGINE);
    figures.push(figure.with_note(note));
    Ok(())
}

/// The death of the same container where nobody but the engine looks after it.
async fn by_the_engine(node: &mut Node, deployed: &Deployed) -> anyhow::Result<Duration> {
    let name = format!("{PREFIX}always");
    let mut body = node.engine.body_like(&deployed.container, PORT).await?;
    body["HostConfig"]["RestartPolicy"] = json!({ "Name": "always" });
    let at = SocketAddr::new(address_of(&deployed.node).await?, PORT);
    let died = async {
        node.engine.run(&name, &body).await?;
        http::first_200(at, "floor", WITHIN).await?;
        let process = process(&node.engine.inspect(&name).await?)?;
        kernel::settled().await?;
        let began = Instant::now();
        node.killer.kill(process).await?;
        // Asked only once it is started: a question that comes before its network is there would wait a second for it.
        loop {
            let found = node.engine.inspect(&name).await?;
            if found["State"]["Running"] == true && self::process(&found)? != process {
                break;
            }
            ensure!(began.elapsed() < WITHIN, "the engine does not restart it: {}", found["State"]);
            sleep(LOOK_EVERY).await;
        }
        let answered = http::first_200(at, "floor", WITHIN).await?;
        anyhow::Ok(answered.duration_since(began))
    };
    let took = died.await;
    node.engine.remove(&name).await?;
    took
}

fn process(inspected: &Value) -> anyhow::Result<u32> {
    let process = inspected["State"]["Pid"].as_u64().context("it has no process")?;
    Ok(u32::try_from(process)?)
}

async fn beside_another(nodes: &mut BTreeMap<String, Node>) -> anyhow::Result<Figure> {
    let made = deploy_sample(2).await?;
    let replica = &made["replicas"][0];
    let node = replica["node"].as_str().context("it has no node")?;
    let name = format!("{APP}_instance_{}", replica["slot"]);
    let process = first_process_on(node, &name).await?;
    let killer = &mut nodes.get_mut(node).context("it is on no node")?.killer;
    let killing = async {
        killer.kill(process).await?;
        e2e::wait::until("two replicas serve again", WITHIN, async || {
            let now = first_process_on(node, &name).await?;
            ensure!(now != 0 && now != process, "it has not been started again");
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
    tally.none_failed("failed_in_a_crash_beside_another")
}
