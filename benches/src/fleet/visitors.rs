//! What visitors notice of machines that die: how long nobody of them is answered, and how many ask in vain.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::fleet::{Fleet, Machine};
use e2e::load::{Crowd, Tally};
use e2e::platform::{User, sample};
use e2e::wait;
use reqwest::Url;

use super::{Trials, WITHIN, calm, homes};
use crate::figure::{Figure, Goal};
use crate::stage::APP;

/// Of an app with two replicas, where another machine than that of the visitors' edge dies.
const GAP: Goal = Goal::AtMost(2.0);
/// Where the machine of their edge dies, and the other of the pair takes its address.
const PAIR_GAP: Goal = Goal::AtMost(3.0);
/// The same, of a hundred who ask.
const LOST: Goal = Goal::AtMost(0.1);
/// How long most people wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Whose edge dies asks anew: a request that went with the machine says nothing about the address.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);
const REPLICAS: usize = 2;
/// Of whom gaps are taken.
const SOME: u64 = 200;

pub(super) async fn measure(
    fleet: &Fleet,
    trials: usize,
    figures: &mut Vec<Figure>,
    failures: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut sum = Sum::default();
    let beside = Trials::of("a machine dead, for visitors", trials, async |_| {
        let url = served(fleet).await?;
        let holder = fleet.machine_at(&host(&url)?).await?.name.clone();
        let homes = homes(&fleet.admin(WITHIN).await?).await?;
        let hit = |one: &&Machine| one.name != holder && homes.contains(&one.name);
        let victim = fleet.machines.iter().find(hit).context("the edge's machine has them all")?;
        let crowd = Crowd::with_patience(PATIENCE, &url, 2, APP);
        sum.add(dies(fleet, victim, crowd).await?)
    });
    beside.await.tell("gap_of_visitors_s", GAP, figures, failures);
    figures.extend(sum.figure());
    let pair = Trials::of("the edge's machine dead", trials, async |_| {
        let url = served(fleet).await?;
        ensure!(fleet.machines_with("address").await?.len() == 2, "there is no pair of edges");
        let holder = fleet.machine_at(&host(&url)?).await?;
        let crowd = Crowd::with_patience(SHORT_PATIENCE, &url, 4, APP);
        gap(dies(fleet, holder, crowd).await?)
    });
    pair.await.tell("pair_gap_s", PAIR_GAP, figures, failures);
    fleet.admin(WITHIN).await?.does(&["stop", APP]).await.map(drop)
}

/// The URL of the app, with all of its replicas on machines that live.
async fn served(fleet: &Fleet) -> anyhow::Result<String> {
    calm(fleet).await?;
    let user = fleet.admin(WITHIN).await?;
    let url = user.deploy(&sample("hello"), APP, u32::try_from(REPLICAS)?).await?;
    wait::until("all replicas serve", WITHIN, async || serve(&user, None).await).await?;
    Ok(url)
}

/// All replicas serve, none of them there.
async fn serve(user: &User, not_at: Option<&str>) -> anyhow::Result<()> {
    let homes = homes(user).await?;
    let elsewhere = homes.iter().all(|home| Some(home.as_str()) != not_at);
    ensure!(homes.len() == REPLICAS && elsewhere, "{homes:?}");
    Ok(())
}

/// The machine loses its power under them, and gets it back once all is served from others.
async fn dies(fleet: &Fleet, victim: &Machine, crowd: Crowd) -> anyhow::Result<Tally> {
    let asked = async |more: u64| {
        let enough = crowd.answered() + more;
        wait::until("visitors are answered", WITHIN, async || {
            ensure!(crowd.answered() >= enough, "{} so far", crowd.answered());
            Ok(())
        })
        .await
    };
    asked(SOME).await?;
    victim.power_off().await?;
    let replaced = wait::until("all replicas serve elsewhere", WITHIN, async || {
        serve(&fleet.admin(WITHIN).await?, Some(&victim.name)).await
    });
    let replaced = match replaced.await {
        Ok(()) => asked(SOME).await,
        Err(err) => Err(err),
    };
    victim.power_on().await?;
    let tally = crowd.finish().await;
    replaced.map(|()| tally)
}

/// `http://<host>:<port>/`
fn host(url: &str) -> anyhow::Result<String> {
    let url: Url = url.parse()?;
    Ok(url.host_str().context("a URL has a host")?.to_owned())
}

/// The longest time without an answer, in seconds.
fn gap(tally: Tally) -> anyhow::Result<f64> {
    ensure!(tally.answered > SOME, "hardly anybody was answered: {tally:?}");
    Ok(tally.longest_gap.as_secs_f64())
}

/// All whose edge was on another machine.
#[derive(Debug, Default)]
struct Sum {
    answered: u64,
    failed: u64,
}

impl Sum {
    /// The trial's gap.
    fn add(&mut self, tally: Tally) -> anyhow::Result<f64> {
        self.answered += tally.answered;
        self.failed += tally.failed;
        gap(tally)
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer requests than 2^52")]
    fn figure(&self) -> Option<Figure> {
        let all = self.answered + self.failed;
        let percent = (all > 0).then(|| 100.0 * self.failed as f64 / all as f64)?;
        let figure = Figure::of_value("failed_of_visitors_percent", percent, LOST);
        Some(figure.with_note(format!("{} of {all} while machines died", self.failed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_who_asked_few_may_fail() {
        let tally =
            |answered, failed| Tally { answered, failed, longest_gap: Duration::from_millis(1500) };
        let mut sum = Sum::default();
        assert!(sum.figure().is_none() && gap(tally(SOME, 0)).is_err());
        assert!((sum.add(tally(999, 1)).unwrap() - 1.5).abs() < f64::EPSILON);
        assert_eq!(sum.figure().unwrap().met, Some(true));
        sum.add(tally(998, 2)).unwrap();
        assert_eq!(sum.figure().unwrap().met, Some(false));
        assert_eq!(sum.figure().unwrap().note, "3 of 2000 while machines died");
    }

    #[test]
    fn visitors_come_to_the_host_of_the_url() {
        assert_eq!(host("http://192.0.2.7:2000/").unwrap(), "192.0.2.7");
        assert!(host("/").is_err());
    }
}
