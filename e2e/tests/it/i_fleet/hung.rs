//! Parts whose process is there and does nothing: nobody who leads is needed to start them again.

use std::slice;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::fleet::Machine;
use e2e::wait;
use jiff::Timestamp;

use super::{NEW_LEADER_WITHIN, WHOLE_WITHIN, all_is_true, whole_fleet};

/// An agent's patience with the first of a kind, then the second's turn, and their starts.
const STARTED_AGAIN_WITHIN: Duration = Duration::from_mins(8);
/// Freezes a part on each of these machines, and waits until all of them were started again: when, in order. What is
/// still frozen then is thawed, for the tests that follow.
pub(super) async fn freeze(part: &str, machines: &[Machine]) -> Vec<Timestamp> {
    let mut starts = Vec::new();
    for machine in machines {
        starts.push(machine.started(part).await.unwrap());
    }
    for machine in machines {
        machine.hurt("pause", part).await.unwrap();
    }
    let waited = wait::until("they are started again", STARTED_AGAIN_WITHIN, async || {
        for (machine, before) in machines.iter().zip(&starts) {
            machine.runs(part).await?;
            ensure!(machine.started(part).await? != *before, "{} is still frozen", machine.name);
        }
        Ok(())
    })
    .await;
    if waited.is_err() {
        for machine in machines {
            // One that was started again is not frozen.
            drop(machine.hurt("unpause", part).await);
        }
    }
    waited.unwrap();
    let mut again = Vec::new();
    for machine in machines {
        again.push(began(&machine.started(part).await.unwrap()).unwrap());
    }
    again.sort();
    again
}

/// The moment in what is told of a start.
fn began(start: &str) -> anyhow::Result<Timestamp> {
    let moment = start.split_whitespace().last().context("nothing is told of it")?;
    Ok(moment.parse()?)
}

#[tokio::test]
async fn a_lifecycle_manager_that_hangs_is_started_again_by_its_agent() {
    let fleet = whole_fleet().await;
    let frozen = fleet.leader("lifecycle-manager").await.unwrap().clone();
    let another_leads = wait::until("another leads", NEW_LEADER_WITHIN, async || {
        let leader = fleet.leader("lifecycle-manager").await?;
        ensure!(leader.name != frozen.name, "it is the same");
        Ok(())
    });
    let (led, _) =
        futures::join!(another_leads, freeze("lifecycle-manager", slice::from_ref(&frozen)));
    led.unwrap();
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
}

#[tokio::test]
async fn an_edge_that_hangs_is_started_again_though_its_kernel_takes_connections_for_it() {
    let fleet = whole_fleet().await;
    // The first of the pair: the turn of the second comes minutes after.
    let first = fleet.machine("node-4").unwrap().clone();
    freeze("edge", slice::from_ref(&first)).await;
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
}
