//! The fleet: services, leaders and machines die in turn, and apps go on answering through an edge elsewhere.

mod asked;
mod changes;
mod drain;
mod hung;
mod long;
mod pair;
mod settings;

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use anyhow::ensure;
use common::port::bus::Delivery;
use common::service::ServiceName;
use common::topic::Topic;
use e2e::audit;
use e2e::bus::new_request;
use e2e::fleet::{Fleet, Machine, SERVICES};
use e2e::load::{Crowd, Tally};
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::voice::Voice;
use e2e::wait;
use futures::join;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::{BUILD_WITHIN, SOON};

/// A session of the store, its end noticed, and a new leader at work. This time and those below are of another order than
/// what the benches measure: they end a wait for what does not come.
const NEW_LEADER_WITHIN: Duration = Duration::from_mins(1);
/// From the death of a machine to all replicas serving on others, and the platform whole again.
const WHOLE_WITHIN: Duration = Duration::from_mins(3);
/// The same where a machine is made anew, or its disk is.
const LOST_WITHIN: Duration = Duration::from_mins(10);
/// Of visitors who never stop asking somebody is answered within what any of them would wait.
const LONGEST_GAP: Duration = Duration::from_secs(10);
/// Who is being asked at the very moment of a death may hear nothing.
const HANDFUL: u64 = 8;
/// One answer of an app, where it is asked again and again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// An edge that is killed again and again has to wait before it is started anew, as everything that ends often.
const EDGE_IS_BACK_WITHIN: Duration = Duration::from_secs(75);
/// A request is gathered with others, and then begins or is refused.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// What a leader sleeps through: its session, its successor's election, and what that one did since.
const PAUSED_FOR: Duration = Duration::from_secs(30);

/// How often each thing dies: once, or as often as `make chaos` says.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment how long to go on"
)]
fn trials() -> usize {
    env::var("AVISHKAR_CHAOS_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

async fn whole_fleet() -> Fleet {
    let fleet = Fleet::find().await.unwrap();
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    fleet
}

/// A fleet that is whole, and the URL of an app with two replicas on two machines.
async fn fleet_with_app(app: &str) -> (Fleet, String) {
    let fleet = whole_fleet().await;
    let user = fleet.admin(SOON).await.unwrap();
    let url = user.deploy(&sample("hello"), app, 2).await.unwrap();
    (fleet, url)
}

/// Where the app's replicas are.
async fn homes(user: &User, app: &str) -> anyhow::Result<Vec<String>> {
    let status = user.does(&["status", app]).await?;
    let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
    let serving = replicas.iter().filter(|replica| replica["state"] == "ready");
    let homes = serving.filter_map(|replica| replica["node"].as_str());
    Ok(homes.map(str::to_owned).collect())
}

/// Waits until two replicas serve on machines that are not this one.
async fn two_replicas_off(fleet: &Fleet, app: &str, machine: &Machine) {
    wait::until("two replicas serve elsewhere", WHOLE_WITHIN, async || {
        let user = fleet.admin(SOON).await?;
        let homes = homes(&user, app).await?;
        ensure!(homes.len() == 2 && !homes.contains(&machine.name), "{homes:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Nothing is under way any more, and everything is as the platform promises.
async fn all_is_true(fleet: &Fleet) {
    wait::until("every request has its end", WHOLE_WITHIN, async || {
        audit::is_settled_at(&fleet.sources().await?).await
    })
    .await
    .unwrap();
    wait::until("the truth holds", WHOLE_WITHIN, async || {
        truth::read_from(&fleet.sources().await?).await?.is_consistent()
    })
    .await
    .unwrap();
}

fn nearly_nothing_was_missed(tally: Tally, what: &str) {
    let asked = tally.answered + tally.failed;
    assert!(asked > 100, "{what}: only {asked} were asked");
    assert!(tally.failed * 1000 <= asked && tally.failed <= HANDFUL, "{what}: {tally:?}");
    assert!(tally.longest_gap <= LONGEST_GAP, "{what}: {tally:?}");
}

#[tokio::test]
async fn leaders_that_are_killed_are_followed_by_others_and_no_visitor_notices() {
    let (fleet, url) = fleet_with_app("led").await;
    let crowd = Crowd::start(&url, 2, "led");
    for _ in 0..trials() {
        for (service, _) in SERVICES {
            let before = fleet.leader(service).await.unwrap().clone();
            let started = before.started(service).await.unwrap();
            before.hurt("kill", service).await.unwrap();
            wait::until(service, NEW_LEADER_WITHIN, async || fleet.leader(service).await.map(drop))
                .await
                .unwrap();
            wait::until("it is started anew where it was", SOON, async || {
                before.runs(service).await?;
                ensure!(before.started(service).await? != started, "it was never dead");
                Ok(())
            })
            .await
            .unwrap();
        }
    }
    fleet.ready(WHOLE_WITHIN).await.unwrap();
    let user = fleet.admin(SOON).await.unwrap();
    user.deploy(&sample("hello"), "led", 2).await.unwrap();
    let first_failure = crowd.first_failure();
    let tally = crowd.finish().await;
    assert_eq!(tally.failed, 0, "{first_failure:?}");
    all_is_true(&fleet).await;
    user.does(&["stop", "led"]).await.unwrap();
}

/// What the services stand on, and the edge, whose death every visitor would notice if it lasted.
#[tokio::test]
async fn parts_that_are_killed_are_started_again_and_hardly_a_visitor_notices() {
    let (fleet, url) = fleet_with_app("standing").await;
    for _ in 0..trials() {
        for part in ["zookeeper", "kafka", "registry", "edge"] {
            // One member more that is away would be most of them.
            fleet.whole(WHOLE_WITHIN).await.unwrap();
            let machine = fleet.machine_with(part).await.unwrap();
            let crowd = Crowd::start(&url, 2, "standing");
            let started = machine.started(part).await.unwrap();
            machine.hurt("kill", part).await.unwrap();
            wait::until(part, WHOLE_WITHIN, async || {
                machine.runs(part).await?;
                ensure!(machine.started(part).await? != started, "it was never dead");
                Ok(())
            })
            .await
            .unwrap();
            fleet.ready(WHOLE_WITHIN).await.unwrap();
            let enough = async || {
                ensure!(crowd.answered() > 200, "{} so far", crowd.answered());
                Ok(())
            };
            wait::until("visitors are answered", SOON, enough).await.unwrap();
            let (first_failure, tally) = (crowd.first_failure(), crowd.finish().await);
            assert!(part == "edge" || tally.failed == 0, "{part}: {first_failure:?}");
            let most = if part == "edge" { EDGE_IS_BACK_WITHIN } else { LONGEST_GAP };
            assert!(tally.longest_gap <= most, "{part}: {tally:?}");
        }
    }
    let user = fleet.admin(SOON).await.unwrap();
    user.deploy(&sample("hello"), "standing", 2).await.unwrap();
    all_is_true(&fleet).await;
    user.does(&["stop", "standing"]).await.unwrap();
}

#[tokio::test]
async fn machines_that_lose_their_power_are_replaced_and_taken_back() {
    let (fleet, url) = fleet_with_app("powered").await;
    // Where visitors come in is another trial, with another bound.
    let address = pair::host(&url).unwrap();
    let edge = fleet.machine_at(&address).await.unwrap().name.clone();
    for _ in 0..trials() {
        for machine in fleet.machines.iter().filter(|machine| machine.name != edge) {
            fleet.whole(WHOLE_WITHIN).await.unwrap();
            let crowd = Crowd::start(&url, 2, "powered");
            machine.power_off().await.unwrap();
            two_replicas_off(&fleet, "powered", machine).await;
            machine.power_on().await.unwrap();
            fleet.ready(WHOLE_WITHIN).await.unwrap();
            nearly_nothing_was_missed(crowd.finish().await, &machine.name);
        }
    }
    let user = fleet.admin(SOON).await.unwrap();
    wait::until("the app is deployed anew", BUILD_WITHIN, async || {
        user.deploy(&sample("hello"), "powered", 2).await.map(drop)
    })
    .await
    .unwrap();
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
    user.does(&["stop", "powered"]).await.unwrap();
}

#[tokio::test]
async fn the_machines_of_both_edges_come_back_and_serve_what_they_served() {
    let (fleet, url) = fleet_with_app("edged").await;
    let machines = fleet.machines_with("edge").await.unwrap();
    for machine in &machines {
        machine.power_off().await.unwrap();
    }
    // Most of what the others stand on is there.
    let manager = "lifecycle-manager";
    wait::until(manager, NEW_LEADER_WITHIN, async || fleet.leader(manager).await.map(drop))
        .await
        .unwrap();
    for machine in &machines {
        machine.power_on().await.unwrap();
    }
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    wait::until("the URL answers", WHOLE_WITHIN, async || {
        let answer = reqwest::Client::new().get(&url).timeout(ANSWER_WITHIN).send().await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        Ok(())
    })
    .await
    .unwrap();
    all_is_true(&fleet).await;
    fleet.admin(SOON).await.unwrap().does(&["stop", "edged"]).await.unwrap();
}

#[tokio::test]
async fn a_leader_that_was_paused_does_nothing_again_that_its_successor_did() {
    let fleet = whole_fleet().await;
    let bus = fleet.bus().await.unwrap();
    let before = fleet.starts_of("monitoring").await.unwrap();
    let paused = fleet.leader("lifecycle-manager").await.unwrap().clone();
    let voice = Voice::of(&paused, ServiceName::LifecycleManager).await.unwrap();
    let epoch = voice.heard_by(&paused).await.unwrap();
    let from = bus.end(&Topic::FirstTopic.into()).await.unwrap();
    let give_up = Instant::now() + WHOLE_WITHIN;
    let request = loop {
        let request = new_request();
        bus.send(Topic::LifecycleManager, request, "restart service$monitoring").await.unwrap();
        let begins = async || fleet.restarts_now("monitoring").await;
        let Err(why) = wait::until("it restarts them", BEGINS_WITHIN, begins).await else {
            break request;
        };
        // What was started a moment ago is not restarted on the word of a program.
        assert!(Instant::now() < give_up, "{why:#}");
    };
    paused.hurt("pause", "lifecycle-manager").await.unwrap();
    let awake_at = Instant::now() + PAUSED_FOR;
    wait::until("another leads", NEW_LEADER_WITHIN, async || {
        let leader = fleet.leader("lifecycle-manager").await?;
        ensure!(leader.name != paused.name, "it is the same");
        Ok(())
    })
    .await
    .unwrap();
    // It comes back while its successor is at work, and before its agent starts it anew.
    let comes_back = async {
        sleep_until(awake_at).await;
        paused.hurt("unpause", "lifecycle-manager").await.unwrap();
    };
    let ((), answer) = join!(comes_back, bus.answer(request, from, WHOLE_WITHIN));
    let answer = answer.unwrap();
    assert!(answer.starts_with("done restart service$monitoring"), "{answer}");
    let after = fleet.starts().await.unwrap();
    let anew = fleet.starts_of("monitoring").await.unwrap();
    assert_eq!(anew.len(), before.len(), "{anew:?}");
    for (machine, starts) in &anew {
        assert_ne!(Some(starts), before.get(machine), "{machine} has the monitoring of before");
    }

    wait::until("who was paused stands by", SOON, async || {
        paused.stands_by("lifecycle-manager").await
    })
    .await
    .unwrap();
    fleet.ready(WHOLE_WITHIN).await.unwrap();
    // Whatever it said as a leader, and may still be on its way.
    for machine in &fleet.machines {
        let seen = voice.heard_by(machine).await.unwrap();
        assert!(seen > epoch, "{} was not told of the successor", machine.name);
        voice.is_refused_by(machine, epoch).await.unwrap();
    }
    let without_the_paused = |mut starts: BTreeMap<String, Vec<String>>| {
        for list in starts.values_mut() {
            list.retain(|start| !start.contains("lifecycle-manager"));
        }
        starts
    };
    let (after, end) = (without_the_paused(after), fleet.starts().await.unwrap());
    assert_eq!(without_the_paused(end), after, "something was started twice");
    all_is_true(&fleet).await;
}

#[tokio::test]
async fn who_asks_for_a_restart_of_everything_gets_an_alarm_and_nothing_is_restarted() {
    let fleet = whole_fleet().await;
    // A request for what is being restarted would share that end.
    wait::until("no restart is under way", WHOLE_WITHIN, async || fleet.is_calm().await)
        .await
        .unwrap();
    let bus = fleet.bus().await.unwrap();
    let before = fleet.starts().await.unwrap();
    let from = bus.end(&Topic::FirstTopic.into()).await.unwrap();
    let services = SERVICES.iter().map(|(service, _)| format!("restart service${service}"));
    let nodes = fleet.machines.iter().map(|machine| format!("restart node${}", machine.name));
    let mut requests = Vec::new();
    for asked in services.chain(nodes) {
        let request = new_request();
        bus.send(Topic::LifecycleManager, request, &asked).await.unwrap();
        requests.push((request, asked));
    }
    for (request, asked) in requests {
        let answer = bus.answer(request, from, SOON).await.unwrap();
        assert!(answer.starts_with(&format!("not done {asked}")), "{answer}");
        assert!(answer.contains("RESTART_HELD"), "{answer}");
    }
    let alarm = |_: &Delivery, body: &Value| {
        let said = body["msg"].as_str()?;
        said.starts_with("alert$").then(|| said.to_owned())
    };
    bus.find(&Topic::FirstTopic.into(), from, SOON, alarm).await.unwrap();
    assert_eq!(fleet.starts().await.unwrap(), before, "something was restarted");
    all_is_true(&fleet).await;
}
