//! The fleet: how long it takes after a machine, a leader or a service dies, beside Docker Swarm with its defaults on
//! machines of the same kind on the same computer. Measured on the fleet of `make fleet`.

mod swarm;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::fleet::{Fleet, Machine, SERVICES};
use e2e::platform::{User, sample};
use e2e::wait;
use tokio::time::Instant;

use crate::figure::{Figure, Goal};
use crate::report::progress;
use crate::stage::APP;

use swarm::Swarm;
pub(crate) use swarm::clear;

const REPLICAS: u32 = 4;
const WITHIN: Duration = Duration::from_mins(3);
const DEAD_TO_SERVING: Goal = Goal::AtMost(20.0);
/// Of Docker Swarm's time in the same run.
const BESIDE_SWARM: Goal = Goal::AtMost(0.5);
const NEW_LEADER: Goal = Goal::AtMost(10.0);
const RESTART: Goal = Goal::AtMost(3.0);

/// Every figure is the greatest of its trials.
pub(crate) async fn measure(trials: usize) -> anyhow::Result<Vec<Figure>> {
    let fleet = Fleet::find().await?;
    fleet.ready(WITHIN).await?;
    let user = fleet.admin(WITHIN).await?;
    user.deploy(&sample("hello"), APP, REPLICAS).await?;
    let swarm = Swarm::start(REPLICAS).await?;
    let mut figures = machines(&fleet, &swarm, trials).await?;
    clear().await?;
    figures.push(leaders(&fleet, trials).await?);
    figures.push(restarts(&fleet, trials).await?);
    fleet.admin(WITHIN).await?.does(&["stop", APP]).await?;
    Ok(figures)
}

/// Pairs in turns: a machine of the fleet, then one of the swarm.
async fn machines(fleet: &Fleet, swarm: &Swarm, trials: usize) -> anyhow::Result<Vec<Figure>> {
    let victims = without_edge(fleet).await?;
    let mut pairs = Vec::new();
    for trial in 0..trials {
        let victim = victims[trial % victims.len()];
        let ours = machine(fleet, victim).await?;
        let theirs = swarm.trial().await?;
        progress(&format!("fleet: {} dead: {ours:.1} s, swarm {theirs:.1} s", victim.name));
        pairs.push((ours, theirs));
    }
    let worst = greatest(pairs.iter().map(|(ours, _)| *ours));
    let note = format!("{trials} trials, {REPLICAS} replicas; the greatest");
    Ok(vec![
        Figure::of_value("fleet_machine_dead_s", worst, DEAD_TO_SERVING).with_note(note.clone()),
        Figure::of_pairs("fleet_machine_dead_beside_swarm_s", &pairs, BESIDE_SWARM)
            .with_note(format!("{trials} trials, {REPLICAS} replicas; medians")),
    ])
}

/// From the machine's end to all replicas serving on others, by what their engines and the replicas themselves say, as
/// the swarm is asked; then it comes back, and everything is whole.
async fn machine(fleet: &Fleet, victim: &Machine) -> anyhow::Result<f64> {
    let user = fleet.admin(WITHIN).await?;
    let source = sample("hello");
    // A machine that has just come back has nothing until something is placed anew.
    wait::until("the victim has a replica", WITHIN, async || {
        user.deploy(&source, APP, REPLICAS).await?;
        let homes = homes(&user).await?;
        ensure!(homes.len() == REPLICAS as usize && homes.contains(&victim.name), "{homes:?}");
        Ok(())
    })
    .await?;
    let began = Instant::now();
    victim.power_off().await?;
    wait::until("all replicas serve elsewhere", WITHIN, async || {
        let mut serving = 0;
        for machine in fleet.machines.iter().filter(|machine| machine.name != victim.name) {
            serving += machine.serving(APP).await?;
        }
        ensure!(serving == REPLICAS as usize, "{serving} serve");
        Ok(())
    })
    .await?;
    let took = began.elapsed().as_secs_f64();
    victim.power_on().await?;
    fleet.ready(WITHIN).await?;
    Ok(took)
}

/// From the end of the machine with the leading lifecycle manager to the next one's lead.
async fn leaders(fleet: &Fleet, trials: usize) -> anyhow::Result<Figure> {
    let mut took = Vec::new();
    for _ in 0..trials {
        let leader = fleet.leader("lifecycle-manager").await?;
        let began = Instant::now();
        leader.power_off().await?;
        wait::until("another leads", WITHIN, async || {
            let now = fleet.leader("lifecycle-manager").await?;
            ensure!(now.name != leader.name, "it is the same");
            Ok(())
        })
        .await?;
        took.push(began.elapsed().as_secs_f64());
        leader.power_on().await?;
        fleet.ready(WITHIN).await?;
    }
    let note = format!("lifecycle manager, its machine without power; {took:.1?}");
    Ok(Figure::of_value("fleet_new_leader_s", greatest(took), NEW_LEADER).with_note(note))
}

/// From a service's end to its readiness at the same place.
async fn restarts(fleet: &Fleet, trials: usize) -> anyhow::Result<Figure> {
    let mut took = Vec::new();
    for trial in 0..trials {
        let (service, port) = SERVICES[trial % SERVICES.len()];
        let machine = fleet.leader(service).await?;
        let before = machine.started(service).await?;
        let began = Instant::now();
        machine.hurt("kill", service).await?;
        wait::until("it is ready again", WITHIN, async || {
            ensure!(machine.started(service).await? != before, "it was not started yet");
            let url = format!("http://127.0.0.1:{port}/readyz");
            machine.exec(&["curl", "-s", "-f", "-m", "1", &url]).await.map(drop)
        })
        .await?;
        took.push(began.elapsed().as_secs_f64());
        fleet.ready(WITHIN).await?;
    }
    let note = format!("every service in turn: {took:.1?}");
    Ok(Figure::of_value("fleet_service_restart_s", greatest(took), RESTART).with_note(note))
}

/// The machines that may die: there is but one edge.
async fn without_edge(fleet: &Fleet) -> anyhow::Result<Vec<&Machine>> {
    let mut others = Vec::new();
    for machine in &fleet.machines {
        if machine.part("edge").await?.is_none() {
            others.push(machine);
        }
    }
    ensure!(!others.is_empty(), "the fleet has one machine only");
    Ok(others)
}

/// Where replicas are that serve.
async fn homes(user: &User) -> anyhow::Result<Vec<String>> {
    let status = user.does(&["status", APP]).await?;
    let replicas = status["replicas"].as_array().context("an app has replicas")?;
    let ready = replicas.iter().filter(|replica| replica["state"] == "ready");
    Ok(ready.filter_map(|replica| replica["node"].as_str()).map(str::to_owned).collect())
}

fn greatest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NEG_INFINITY, f64::max)
}
