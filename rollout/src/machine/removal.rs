//! The way back: a machine that is no node any more, or no longer there.

use common::port::Host;
use common::port::machines::Shape;

use super::Goal;
use super::agent::STATE;
use super::observe::{Engine, Existence, Observed};
use super::plan::step;
use super::step::{Action, Step};
use super::within::{as_root, docker, must};
use crate::failure::Why;

/// What all of the platform's containers, networks and folders in memory carry.
pub(super) const LABEL: &str = "label=avishkar.platform";

/// The steps after which nothing of the platform is left. A machine that was made is deleted whole; on a given one the
/// images and the platform's key stay.
pub fn removal(goal: &Goal, seen: &Observed) -> Vec<Step> {
    let kind = goal.machine.shape.kind();
    if goal.machine.shape != Shape::Given {
        let there = seen.existence != Existence::Absent;
        return there.then(|| step(goal, Action::Delete(kind), true)).into_iter().collect();
    }
    if seen.machine.host_key.is_none() {
        // Nobody ever signed in.
        return Vec::new();
    }
    let mut actions = Vec::new();
    let certain = seen.inside.is_some();
    let engine = seen.inside.as_ref().map(|inside| &inside.engine);
    if engine != Some(&Engine::Absent) {
        actions.extend([Action::RemoveAgent, Action::RemoveContainers]);
    }
    actions.push(Action::RemoveFolders);
    actions.into_iter().map(|action| step(goal, action, certain)).collect()
}

pub(super) async fn containers(host: &dyn Host) -> Result<(), Why> {
    let kinds: [(&[&str], &[&str]); 3] = [
        (&["ps", "--all", "--quiet", "--filter", LABEL], &["rm", "--force", "--volumes"]),
        (&["network", "ls", "--quiet", "--filter", LABEL], &["network", "rm"]),
        (&["volume", "ls", "--quiet", "--filter", LABEL], &["volume", "rm"]),
    ];
    // What moves an address between machines takes it away when it is asked to end, and not when it is killed.
    let moving = ["ps", "--quiet", "--filter", "label=avishkar.part=address"];
    let moving = must(host, "docker", &docker(&moving)).await?.text();
    let moving: Vec<&str> = moving.split_whitespace().collect();
    if !moving.is_empty() {
        let command = docker(&["stop", "--time", "5"]).args(moving).within(super::apply::STOP);
        must(host, "docker", &command).await?;
    }
    for (list, remove) in kinds {
        let listed = must(host, "docker", &docker(list)).await?.text();
        let found: Vec<&str> = listed.split_whitespace().collect();
        if !found.is_empty() {
            let command = docker(remove).args(found).within(super::apply::STOP);
            must(host, "docker", &command).await?;
        }
    }
    Ok(())
}

pub(super) async fn folders(host: &dyn Host) -> Result<(), Why> {
    let folders = [STATE, "/etc/avishkar", "/var/log/avishkar"];
    must(host, "rm", &as_root("rm").args(["-rf"]).args(folders)).await.map(drop)
}
