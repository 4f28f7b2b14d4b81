//! Trials that take minutes: `make chaos` runs them, `make test` does not.

use std::time::Duration;

use anyhow::ensure;
use e2e::fleet::Fleet;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::wait;
use jiff::SignedDuration;
use tokio::time::sleep;

use super::asked::{quiet_machine, told};
use super::hung::freeze;
use super::{SOON, WHOLE_WITHIN, fleet_with_app, homes, whole_fleet};

/// How long nothing but the edge and apps is there.
const DEAD_FOR: Duration = Duration::from_mins(10);
/// Two of a kind are never started again at once: whoever does it waits for the first.
const APART: SignedDuration = SignedDuration::from_secs(10);

const AGENT: &str = "avishkar-agent";
const KEY_FILE: &str = "/var/lib/avishkar/ssh/ssh_host_ed25519_key.pub";

async fn until_state(user: &User, name: &str, state: &str) -> anyhow::Result<()> {
    wait::until(state, WHOLE_WITHIN, async || {
        let told = told(user, name).await?;
        ensure!(told["state"] == state, "{told}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn most_zookeepers_may_hang_and_no_person_is_needed() {
    let fleet: Fleet = whole_fleet().await;
    let ensemble = fleet.machines_with("zookeeper").await.unwrap();
    assert!(ensemble.len() >= 3, "{ensemble:?}");
    let again = freeze("zookeeper", &ensemble[..ensemble.len().div_ceil(2)]).await;
    let mut gaps = again.iter().zip(again.iter().skip(1));
    assert!(gaps.all(|(one, next)| next.duration_since(*one) >= APART), "{again:?}");
    fleet.ready(WHOLE_WITHIN).await.unwrap();
}

#[tokio::test]
async fn ten_minutes_without_services_agents_kafka_and_zookeeper_cost_no_request() {
    let (fleet, url) = fleet_with_app("orphaned").await;
    let before = homes(&fleet.admin(SOON).await.unwrap(), "orphaned").await;
    let crowd = Crowd::start(&url, 4, "orphaned");
    for machine in &fleet.machines {
        machine.end_all_but(&["edge", "address"]).await.unwrap();
    }
    let asked = crowd.answered();
    sleep(DEAD_FOR).await;
    let answered = crowd.answered() - asked;
    assert_eq!(crowd.first_failure(), None, "while all were dead");
    for machine in &fleet.machines {
        let begins = async || machine.begin_again().await;
        wait::until("its agent is started", WHOLE_WITHIN, begins).await.unwrap();
    }
    fleet.ready(WHOLE_WITHIN).await.unwrap();
    let user = fleet.admin(SOON).await.unwrap();
    assert_eq!(homes(&user, "orphaned").await, before, "replicas are where they were");
    user.deploy(&sample("hello"), "orphaned", 2).await.unwrap();
    let first_failure = crowd.first_failure();
    assert_eq!(crowd.finish().await.failed, 0, "{first_failure:?}");
    assert!(answered > 10_000, "{answered} were answered");
    user.does(&["stop", "orphaned"]).await.unwrap();
}

#[tokio::test]
async fn a_machine_with_another_host_key_than_the_pinned_one_is_back_once_its_own_is_pinned() {
    let fleet = whole_fleet().await;
    let user = fleet.admin(SOON).await.unwrap();
    let machine = quiet_machine(&fleet).await;
    let shown = machine.exec(&["ssh-keygen", "-lf", KEY_FILE]).await.unwrap();
    let own = shown.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap();
    let pin = async |fingerprint: &str| {
        let words = ["machines", "pin", &machine.name, "ssh-ed25519", fingerprint];
        user.does(&words).await
    };
    let other = format!("SHA256:{}", "A".repeat(43));
    pin(&other).await.unwrap();
    // Its key is compared when it is signed in to; a restart of the machine would bring back an agent that only ended.
    machine.exec(&["docker", "rm", "--force", AGENT]).await.unwrap();
    let quarantined = until_state(&user, &machine.name, "quarantined").await;
    let refused = user.run(&["restart", "machine", &machine.name]).await;
    let why = told(&user, &machine.name).await;
    // Also for the tests that follow.
    pin(own).await.unwrap();
    quarantined.unwrap();
    let refused = refused.unwrap();
    assert!(refused.code == 6 && refused.stderr.contains("NODE_UNAVAILABLE"), "{refused:?}");
    let why = why.unwrap();
    assert!(why["reason"].as_str().unwrap().contains("HOST_KEY_CHANGED"), "{why}");
    until_state(&user, &machine.name, "ready").await.unwrap();
    fleet.whole(WHOLE_WITHIN).await.unwrap();
}
