//! Trials that take minutes: `make chaos` runs them, `make test` does not.

mod base;
mod lost;
mod versions;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::fleet::{Fleet, Machine};
use e2e::load::Crowd;
use e2e::platform::{Ran, User, sample};
use e2e::wait;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::time::sleep;

use super::asked::{quiet_machine, told};
use super::hung::freeze;
use super::{LOST_WITHIN, SOON, WHOLE_WITHIN, all_is_true, fleet_with_app, homes, whole_fleet};

/// How long nothing but the edge and apps is there.
const DEAD_FOR: Duration = Duration::from_mins(10);
/// Two of a kind are never started again at once: whoever does it waits for the first.
const APART: SignedDuration = SignedDuration::from_secs(10);

const AGENT: &str = "avishkar-agent";
const KEY_FILE: &str = "/var/lib/avishkar/ssh/ssh_host_ed25519_key";

async fn until_state(user: &User, name: &str, state: &str) -> anyhow::Result<()> {
    wait::until(state, LOST_WITHIN, async || {
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
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
}

#[tokio::test]
async fn ten_minutes_without_services_agents_kafka_and_zookeeper_cost_no_request() {
    let (fleet, url) = fleet_with_app("orphaned").await;
    let before = homes(&fleet.admin(SOON).await.unwrap(), "orphaned").await.unwrap();
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
    assert_eq!(homes(&user, "orphaned").await.unwrap(), before, "replicas are where they were");
    user.deploy(&sample("hello"), "orphaned", 2).await.unwrap();
    let first_failure = crowd.first_failure();
    assert_eq!(crowd.finish().await.failed, 0, "{first_failure:?}");
    assert!(answered > 10_000, "{answered} were answered");
    all_is_true(&fleet).await;
    user.does(&["stop", "orphaned"]).await.unwrap();
}

/// The machine's own key from now on is in this file.
async fn shows_key_of(machine: &Machine, file: &str) -> anyhow::Result<()> {
    machine.exec(&["cp", "--archive", file, KEY_FILE]).await?;
    machine.exec(&["cp", "--archive", &format!("{file}.pub"), &format!("{KEY_FILE}.pub")]).await?;
    // It is started again by the machine's own init, and reads its key then.
    machine.exec(&["pkill", "--oldest", "--exact", "sshd"]).await.map(drop)
}

/// Its key is compared when it is signed in to; a restart of the machine would bring back an agent that only ended. Tells what
/// the platform says of it then, and what became of a restart, and pins the key that it shows, also for the tests that follow.
async fn quarantined(user: &User, machine: &Machine) -> anyhow::Result<(Value, Ran)> {
    machine.exec(&["docker", "rm", "--force", AGENT]).await?;
    let quarantined = until_state(user, &machine.name, "quarantined").await;
    let refused = user.run(&["restart", "machine", &machine.name]).await;
    let why = told(user, &machine.name).await;
    let shown = machine.exec(&["ssh-keygen", "-lf", &format!("{KEY_FILE}.pub")]).await?;
    let own = shown.split_whitespace().find(|word| word.starts_with("SHA256:"));
    let own = own.context("it has a key")?;
    let pinned = user.does(&["machines", "pin", &machine.name, "ssh-ed25519", own]).await;
    quarantined?;
    pinned?;
    until_state(user, &machine.name, "ready").await?;
    Ok((why?, refused?))
}

#[tokio::test]
async fn a_machine_with_another_host_key_than_the_pinned_one_is_back_once_that_is_pinned() {
    let fleet = whole_fleet().await;
    let user = fleet.admin(SOON).await.unwrap();
    let machine = quiet_machine(&fleet).await;
    let stranger = format!("SHA256:{}", "A".repeat(43));
    let pin = ["machines", "pin", &machine.name, "ssh-ed25519", &stranger];
    let refused = user.run(&pin).await.unwrap();
    assert!(refused.stderr.contains("NOT_QUARANTINED"), "{refused:?}");
    let (first, other) = ("/tmp/first-key", "/tmp/other-key");
    machine.exec(&["cp", "--archive", KEY_FILE, first]).await.unwrap();
    let public = format!("{KEY_FILE}.pub");
    machine.exec(&["cp", "--archive", &public, &format!("{first}.pub")]).await.unwrap();
    machine.exec(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other]).await.unwrap();
    // At the end it has its own key again, also for the tests that follow.
    for key in [other, first] {
        shows_key_of(&machine, key).await.unwrap();
        let (why, refused) = quarantined(&user, &machine).await.unwrap();
        assert!(refused.code == 6 && refused.stderr.contains("NODE_UNAVAILABLE"), "{refused:?}");
        assert!(why["reason"].as_str().unwrap().contains("HOST_KEY_CHANGED"), "{why}");
    }
    machine.exec(&["rm", first, other]).await.unwrap();
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
}
