//! The fleet: services, leaders and machines die in turn, and apps go on answering through an edge elsewhere.

use std::time::Duration;

use e2e::fleet::{Fleet, Machine};
use e2e::load::{Crowd, Tally};
use e2e::platform::{User, sample};
use e2e::wait;

use crate::{BUILD_WITHIN, SOON};

/// A session of the store, its end noticed, and a new leader at work.
const NEW_LEADER_WITHIN: Duration = Duration::from_secs(30);
/// From the death of a machine to all replicas serving on others, and the platform whole again.
const WHOLE_WITHIN: Duration = Duration::from_mins(3);
/// Visitors of an app with two replicas may miss this much of the time in which a machine dies.
const LONGEST_GAP: Duration = Duration::from_secs(2);

/// A fleet that is whole, and the URL of an app with two replicas on two machines.
async fn fleet_with_app(app: &str) -> (Fleet, String) {
    let fleet = Fleet::find().await.unwrap();
    fleet.ready(WHOLE_WITHIN).await.unwrap();
    let user = fleet.admin(SOON).await.unwrap();
    let url = user.deploy(&sample("hello"), app, 2).await.unwrap();
    (fleet, url)
}

/// Where the app's replicas are.
async fn homes(user: &User, app: &str) -> Vec<String> {
    let status = user.does(&["status", app]).await.unwrap();
    let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
    let serving = replicas.iter().filter(|replica| replica["state"] == "ready");
    let homes = serving.filter_map(|replica| replica["node"].as_str());
    homes.map(str::to_owned).collect()
}

/// The edge's machine stays: there is but one edge.
async fn edge_of(fleet: &Fleet) -> &Machine {
    for machine in &fleet.machines {
        if machine.part("edge").await.unwrap().is_some() {
            return machine;
        }
    }
    unreachable!("a fleet has an edge")
}

fn nearly_nothing_was_missed(tally: Tally, what: &str) {
    let asked = tally.answered + tally.failed;
    assert!(asked > 100, "{what}: only {asked} were asked");
    assert!(tally.failed * 1000 <= asked, "{what}: {tally:?}");
    assert!(tally.longest_gap <= LONGEST_GAP, "{what}: {tally:?}");
}

#[tokio::test]
async fn leaders_that_are_killed_are_followed_by_others_and_no_visitor_notices() {
    let (fleet, url) = fleet_with_app("led").await;
    let crowd = Crowd::start(&url, 2, "led");
    for service in ["app-manager", "deployment-manager", "node-manager", "lifecycle-manager"] {
        let before = fleet.leader(service).await.unwrap().clone();
        before.hurt("kill", service).await.unwrap();
        wait::until(service, NEW_LEADER_WITHIN, async || fleet.leader(service).await.map(drop))
            .await
            .unwrap();
        wait::until("it is back", SOON, async || before.runs(service).await).await.unwrap();
    }
    let user = fleet.admin(SOON).await.unwrap();
    user.deploy(&sample("hello"), "led", 2).await.unwrap();
    let first_failure = crowd.first_failure();
    let tally = crowd.finish().await;
    assert_eq!(tally.failed, 0, "{first_failure:?}");
    user.does(&["stop", "led"]).await.unwrap();
}

#[tokio::test]
async fn machines_that_lose_their_power_are_replaced_and_taken_back() {
    let (fleet, url) = fleet_with_app("powered").await;
    let edge = edge_of(&fleet).await.name.clone();
    for machine in fleet.machines.iter().filter(|machine| machine.name != edge) {
        let crowd = Crowd::start(&url, 2, "powered");
        machine.power_off().await.unwrap();
        wait::until("two replicas serve elsewhere", WHOLE_WITHIN, async || {
            let user = fleet.admin(SOON).await?;
            let homes = homes(&user, "powered").await;
            anyhow::ensure!(homes.len() == 2 && !homes.contains(&machine.name), "{homes:?}");
            Ok(())
        })
        .await
        .unwrap();
        machine.power_on().await.unwrap();
        fleet.ready(WHOLE_WITHIN).await.unwrap();
        nearly_nothing_was_missed(crowd.finish().await, &machine.name);
    }
    let user = fleet.admin(SOON).await.unwrap();
    wait::until("the app is deployed anew", BUILD_WITHIN, async || {
        user.deploy(&sample("hello"), "powered", 2).await.map(drop)
    })
    .await
    .unwrap();
    user.does(&["stop", "powered"]).await.unwrap();
}
