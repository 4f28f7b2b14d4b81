//! What an administrator asks for on the command line: restarts.

use std::collections::BTreeMap;

use anyhow::Context as _;
use e2e::fleet::{Fleet, Machine};
use e2e::platform::User;
use e2e::wait;
use serde_json::Value;

use super::{SOON, WHOLE_WITHIN, all_is_true, whole_fleet};

/// A machine that no visitor comes through, and of which no leader asks anything.
pub(super) async fn quiet_machine(fleet: &Fleet) -> Machine {
    let edges = fleet.machines_with("edge").await.unwrap();
    let manager = fleet.leader("lifecycle-manager").await.unwrap();
    let quiet = |machine: &&Machine| *machine != manager && !edges.contains(machine);
    fleet.machines.iter().find(quiet).unwrap().clone()
}

/// Asks until it is taken and succeeds: what was restarted a moment ago, by another trial, has to wait.
async fn restarted(user: &User, family: &str, name: &str) -> Value {
    let words = ["restart", family, name];
    wait::until("it is restarted", WHOLE_WITHIN, async || user.does(&words).await).await.unwrap()
}

/// What `avishkar machines` tells of one.
pub(super) async fn told(user: &User, name: &str) -> anyhow::Result<Value> {
    let machines = user.does(&["machines"]).await?;
    let mut machines = machines.as_array().into_iter().flatten();
    machines.find(|one| one["name"] == name).cloned().with_context(|| format!("no {name}"))
}

#[tokio::test]
async fn an_administrator_restarts_a_service_one_instance_after_another() {
    let fleet = whole_fleet().await;
    let user = fleet.admin(SOON).await.unwrap();
    let before = fleet.starts_of("monitoring").await.unwrap();
    let ended = restarted(&user, "service", "monitoring").await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let after = fleet.starts_of("monitoring").await.unwrap();
    let nodes = |starts: &BTreeMap<String, Vec<String>>| starts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(nodes(&after), nodes(&before));
    for (machine, starts) in &after {
        assert_ne!(Some(starts), before.get(machine), "{machine} has the monitoring of before");
    }
    let mut told: Vec<&str> = ended["details"]["restarted"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    told.sort_unstable();
    assert_eq!(told, nodes(&after));
    all_is_true(&fleet).await;
}

#[tokio::test]
async fn an_administrator_restarts_a_machine_that_is_well() {
    let fleet = whole_fleet().await;
    let user = fleet.admin(SOON).await.unwrap();
    let machine = quiet_machine(&fleet).await;
    let before = fleet.starts().await.unwrap();
    let ended = restarted(&user, "machine", &machine.name).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let after = fleet.starts().await.unwrap();
    let (was, is) = (&before[&machine.name], &after[&machine.name]);
    assert!(!is.is_empty() && is.iter().all(|start| !was.contains(start)), "{was:?}, {is:?}");
    let listed = told(&user, &machine.name).await.unwrap();
    assert!(!listed["restarts"].as_array().unwrap().is_empty(), "{listed}");
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
}
