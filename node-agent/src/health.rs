//! Looks at every running container's port about once a second; samples carry what was seen, and the keeper stops who is ill
//! for too long.

use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::port::nodes::Probe;
use futures::StreamExt as _;
use tokio::time::MissedTickBehavior;

use crate::agent::Agent;
use crate::replicas::Replica;

const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 16;

/// Runs until the process stops.
pub(crate) async fn watch(agent: &Agent, lifecycle: &Lifecycle) {
    let beat = lifecycle.beat("health");
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !lifecycle.is_stopping() {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = ticks.tick() => {}
        }
        let running = agent.replicas.all().into_iter().filter(Replica::is_running);
        let looks = futures::stream::iter(running).for_each_concurrent(AT_ONCE, async |replica| {
            beat.now();
            // An engine that does not answer says nothing about the app.
            if let Ok(seen) = agent.see_port(&replica).await {
                agent.replicas.watched(&replica, seen == Probe::Healthy, agent.now());
            }
        });
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            () = looks => beat.now(),
        }
        let after = agent.config.restart_ill_after;
        for ill in agent.replicas.all().into_iter().filter(|replica| replica.is_ill(after)) {
            agent.wake.wake(ill.container.name);
        }
    }
}
