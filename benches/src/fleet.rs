//! The fleet: how long it takes after a machine, a leader or a service dies, beside Docker Swarm with its defaults on
//! machines of the same kind on the same computer. Measured on the fleet of `make fleet`.

mod swarm;
mod visitors;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::fleet::{Fleet, Machine, SERVICES};
use e2e::platform::{User, sample};
use e2e::wait;
use futures::future::try_join_all;
use tokio::time::Instant;

use crate::figure::{Figure, Goal};
use crate::kernel;
use crate::report::progress;
use crate::stage::APP;

use swarm::Swarm;

const REPLICAS: usize = 4;
const WITHIN: Duration = Duration::from_mins(3);
const DEAD_TO_SERVING: Goal = Goal::AtMost(20.0);
/// Of Docker Swarm's time in the same run.
const BESIDE_SWARM: Goal = Goal::AtMost(0.5);
const NEW_LEADER: Goal = Goal::AtMost(10.0);
const RESTART: Goal = Goal::AtMost(3.0);

/// Every figure is the greatest of its trials. One that cannot be had keeps no other from being taken.
pub(crate) async fn measure(trials: usize, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let fleet = Fleet::find().await?;
    let mut failures = Vec::new();
    let restarted =
        Trials::of("a service's restart", trials, async |number| restart(&fleet, number).await);
    restarted.await.tell("fleet_service_restart_s", RESTART, figures, &mut failures);
    let led = Trials::of("a new leader", trials, async |_| new_leader(&fleet).await);
    led.await.tell("fleet_new_leader_s", NEW_LEADER, figures, &mut failures);
    if let Err(err) = machines(&fleet, trials, figures, &mut failures).await {
        failures.push(format!("{err:#}"));
    }
    if let Err(err) = visitors::measure(&fleet, trials, figures, &mut failures).await {
        failures.push(format!("{err:#}"));
    }
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

/// Takes the swarm away, and switches on what a trial that was broken off has left without power.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let cleared = swarm::clear().await;
    if let Ok(fleet) = Fleet::find().await {
        for machine in &fleet.machines {
            machine.power_on().await?;
        }
    }
    cleared
}

/// What trials of one kind took, in seconds.
struct Trials {
    wanted: usize,
    took: Vec<f64>,
    failures: Vec<String>,
}

impl Trials {
    fn none(wanted: usize) -> Self {
        Trials { wanted, took: Vec::new(), failures: Vec::new() }
    }

    /// One after the other, also after one that failed.
    async fn of(
        what: &str,
        wanted: usize,
        mut trial: impl AsyncFnMut(usize) -> anyhow::Result<f64>,
    ) -> Self {
        let mut trials = Trials::none(wanted);
        for number in 0..wanted {
            trials.note(what, trial(number).await);
        }
        trials
    }

    fn note(&mut self, what: &str, taken: anyhow::Result<f64>) {
        match taken {
            Ok(seconds) => {
                progress(&format!("fleet: {what}: {seconds:.1} s"));
                self.took.push(seconds);
            }
            Err(err) => {
                progress(&format!("fleet: {what} could not be measured: {err:#}"));
                self.failures.push(format!("{what}: {err:#}"));
            }
        }
    }

    fn greatest(&self) -> Option<f64> {
        self.took.iter().copied().max_by(f64::total_cmp)
    }

    /// A goal is met by all trials or not at all.
    fn figure(&self, name: &str, goal: Goal) -> Option<Figure> {
        let figure = Figure::of_value(name, self.greatest()?, goal);
        let met = figure.met.map(|met| met && self.took.len() == self.wanted);
        let Trials { wanted, took, .. } = self;
        let note = format!("the greatest of {} of {wanted} trials: {took:.1?}", took.len());
        Some(Figure { met, ..figure }.with_note(note))
    }

    fn tell(self, name: &str, goal: Goal, figures: &mut Vec<Figure>, failures: &mut Vec<String>) {
        figures.extend(self.figure(name, goal));
        failures.extend(self.failures);
    }
}

/// In turns: a machine of the fleet, then one of the swarm.
async fn machines(
    fleet: &Fleet,
    trials: usize,
    figures: &mut Vec<Figure>,
    failures: &mut Vec<String>,
) -> anyhow::Result<()> {
    let victims = without_edge(fleet).await?;
    let swarm = Swarm::start(REPLICAS).await;
    let (mut ours, mut theirs) = (Trials::none(trials), Trials::none(trials));
    for trial in 0..trials {
        let victim = victims[trial % victims.len()];
        ours.note(&format!("{} dead", victim.name), machine(fleet, victim).await);
        if let Ok(swarm) = &swarm {
            theirs.note("the swarm's machine dead", swarm.trial().await);
        }
    }
    let compared = beside(&ours, &theirs);
    ours.tell("fleet_machine_dead_s", DEAD_TO_SERVING, figures, failures);
    figures.extend(compared);
    failures.extend(theirs.failures);
    let ended = async {
        swarm::clear().await?;
        fleet.admin(WITHIN).await?.does(&["stop", APP]).await
    };
    let ended = ended.await;
    swarm.context("there is no swarm to compare with")?;
    ended.map(drop)
}

/// The greatest of both sides.
fn beside(ours: &Trials, theirs: &Trials) -> Option<Figure> {
    let pair = (ours.greatest()?, theirs.greatest()?);
    let figure = Figure::of_pairs("fleet_machine_dead_beside_swarm_s", &[pair], BESIDE_SWARM);
    let all = [ours, theirs].iter().all(|trials| trials.took.len() == trials.wanted);
    let note = format!("{REPLICAS} replicas; Docker Swarm with its defaults: {:.1?}", theirs.took);
    Some(Figure { met: figure.met.map(|met| met && all), ..figure }.with_note(note))
}

/// From the machine's end to all replicas serving on others, by what their engines and the replicas themselves say, as
/// the swarm is asked; then it comes back.
async fn machine(fleet: &Fleet, victim: &Machine) -> anyhow::Result<f64> {
    calm(fleet).await?;
    let user = fleet.admin(WITHIN).await?;
    let source = sample("hello");
    wait::until("the victim has a replica", WITHIN, async || {
        if is_placed(fleet, &user, victim).await.is_ok() {
            return Ok(());
        }
        // A machine that has just come back has nothing until something is placed anew.
        let replicas = u32::try_from(REPLICAS)?;
        user.deploy(&source, APP, replicas).await?;
        is_placed(fleet, &user, victim).await
    })
    .await?;
    let others: Vec<&Machine> =
        fleet.machines.iter().filter(|machine| machine.name != victim.name).collect();
    let began = Instant::now();
    victim.power_off().await?;
    let served = wait::until("all replicas serve elsewhere", WITHIN, async || {
        let serving = serving(&others).await?;
        ensure!(serving == REPLICAS, "{serving} serve");
        Ok(())
    })
    .await;
    let took = began.elapsed().as_secs_f64();
    victim.power_on().await?;
    served.map(|()| took)
}

/// All replicas serve, one of them here, and none besides.
async fn is_placed(fleet: &Fleet, user: &User, victim: &Machine) -> anyhow::Result<()> {
    let homes = homes(user).await?;
    ensure!(homes.len() == REPLICAS && homes.contains(&victim.name), "{homes:?}");
    let all: Vec<&Machine> = fleet.machines.iter().collect();
    let serving = serving(&all).await?;
    ensure!(serving == REPLICAS, "{serving} serve");
    Ok(())
}

/// How many replicas run on these machines and answer.
async fn serving(machines: &[&Machine]) -> anyhow::Result<usize> {
    let serving = machines.iter().map(|machine| machine.serving(APP));
    Ok(try_join_all(serving).await?.into_iter().sum())
}

/// From the end of the machine with the leading lifecycle manager to the next one's lead.
async fn new_leader(fleet: &Fleet) -> anyhow::Result<f64> {
    calm(fleet).await?;
    let leader = fleet.leader("lifecycle-manager").await?;
    let began = Instant::now();
    leader.power_off().await?;
    let led = wait::until("another leads", WITHIN, async || {
        let now = fleet.leader("lifecycle-manager").await?;
        ensure!(now.name != leader.name, "it is the same");
        Ok(())
    })
    .await;
    let took = began.elapsed().as_secs_f64();
    leader.power_on().await?;
    led.map(|()| took)
}

/// From a service's end to its readiness at the same place; every service in turn.
async fn restart(fleet: &Fleet, number: usize) -> anyhow::Result<f64> {
    calm(fleet).await?;
    let (service, port) = SERVICES[number % SERVICES.len()];
    let machine = fleet.leader(service).await?;
    let before = machine.started(service).await?;
    let url = format!("http://127.0.0.1:{port}/readyz");
    let began = Instant::now();
    machine.hurt("kill", service).await?;
    let ready_at = wait::until("it is ready again", WITHIN, async || {
        machine.exec(&["curl", "-s", "-f", "-m", "1", &url]).await?;
        let ready_at = Instant::now();
        ensure!(machine.started(service).await? != before, "{service} was not started yet");
        Ok(ready_at)
    })
    .await?;
    Ok(ready_at.duration_since(began).as_secs_f64())
}

/// What a trial before it has hurt is whole again, and this computer has done with it.
async fn calm(fleet: &Fleet) -> anyhow::Result<()> {
    fleet.whole(WITHIN).await?;
    kernel::settled().await.map(drop)
}

/// The machines that may die: where visitors come in is another figure.
async fn without_edge(fleet: &Fleet) -> anyhow::Result<Vec<&Machine>> {
    let mut others = Vec::new();
    for machine in &fleet.machines {
        if machine.part("edge").await?.is_none() {
            others.push(machine);
        }
    }
    ensure!(!others.is_empty(), "every machine of the fleet has an edge");
    Ok(others)
}

/// Where replicas are that serve.
async fn homes(user: &User) -> anyhow::Result<Vec<String>> {
    let status = user.does(&["status", APP]).await?;
    let replicas = status["replicas"].as_array().context("an app has replicas")?;
    let ready = replicas.iter().filter(|replica| replica["state"] == "ready");
    Ok(ready.filter_map(|replica| replica["node"].as_str()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(wanted: usize, took: &[f64]) -> Trials {
        Trials { took: took.to_vec(), ..Trials::none(wanted) }
    }

    #[test]
    fn a_figure_is_the_greatest_and_its_goal_is_missed_where_a_trial_is_missing() {
        let met = |trials: &Trials| trials.figure("a", Goal::AtMost(3.0)).and_then(|one| one.met);
        assert_eq!(met(&trials(3, &[1.0, 3.0, 2.0])), Some(true));
        assert_eq!(met(&trials(3, &[1.0, 3.1, 2.0])), Some(false));
        assert_eq!(met(&trials(3, &[1.0, 2.0])), Some(false));
        assert_eq!(met(&trials(3, &[])), None);
        let greatest = trials(3, &[1.0, 3.0, 2.0]).figure("a", Goal::AtMost(3.0)).unwrap();
        assert!((greatest.value - 3.0).abs() < f64::EPSILON, "{greatest:?}");
    }

    #[test]
    fn the_swarm_is_compared_by_the_greatest_of_both() {
        let compared = beside(&trials(2, &[9.0, 8.0]), &trials(2, &[18.0, 17.0])).unwrap();
        assert_eq!((compared.ratio, compared.met), (Some(0.5), Some(true)), "{compared:?}");
        assert!(beside(&trials(2, &[9.0]), &trials(2, &[])).is_none());
        let missing = beside(&trials(2, &[9.0]), &trials(2, &[18.0, 17.0])).unwrap();
        assert_eq!(missing.met, Some(false));
    }
}
