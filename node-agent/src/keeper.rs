//! Makes the ledger so, for ever: after a crash of an app, of the agent, of the engine, of the machine; and where an app runs
//! and does nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::lifecycle::{Condition, Lifecycle};
use chassis::reconcile::{Driver, Outcome, Reconcile, Settings};
use common::name::ContainerName;
use common::port::containers::Event;
use common::port::nodes::EndedIll;
use futures::StreamExt as _;
use tokio::sync::Semaphore;

use crate::agent::{Agent, Error};
use crate::domain::keep::{Found, Step, next_step};
use crate::domain::silence::Verdict;
use crate::replicas::Replica;

const SETTINGS: Settings = Settings {
    scan_every: Duration::from_secs(10),
    at_once: 8,
    first_retry: Duration::from_millis(200),
    last_retry: Duration::from_secs(10),
    // Longer than a pull.
    deadline: Duration::from_mins(12),
};
/// Of ill ones so many are stopped at once: a stop may take ten seconds, in which nobody else is to wait for a start.
const STOPS_AT_ONCE: usize = 2;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Keeper {
    agent: Arc<Agent>,
    engine: Condition,
    stops: Semaphore,
}

#[async_trait]
impl Reconcile for Keeper {
    type Key = ContainerName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<ContainerName>, Error> {
        match self.agent.list().await {
            Ok(_) => self.engine.holds(),
            Err(err) => {
                self.engine.fails(err.to_string());
                return Err(err);
            }
        }
        Ok(self.agent.ledger.read().containers().names().cloned().collect())
    }

    async fn reconcile(&self, name: &ContainerName) -> Result<Outcome, Error> {
        let agent = &self.agent;
        let _held = agent.hold(name).await;
        let found = agent.look(name).await?;
        let Some(entry) = agent.ledger.entry(name) else { return Ok(Outcome::Settled) };
        let history = found.as_ref().map(|found| found.history.clone()).unwrap_or_default();
        let container = found.as_ref().map(|found| Found {
            spec_hash: &found.container.spec_hash,
            state: &found.container.state,
        });
        let step = next_step(&entry.spec.hash(), container, &history, agent.now());
        if step != Step::Keep {
            tracing::info!(container = %name, step = %step, exit = ?history.last_exit(), "a container does not run");
        }
        match step {
            Step::Keep => return mend(agent, found.as_ref(), &self.stops).await,
            Step::Wait(wait) => return Ok(Outcome::Again(wait)),
            Step::Make | Step::Restart => {}
        }
        let made = agent.make_run(&entry.spec, entry.epoch).await.map_err(Error::Start)?;
        agent.replicas.see(name, Some(made), agent.now());
        if step == Step::Restart {
            agent.replicas.restarted(name);
        }
        Ok(Outcome::Settled)
    }
}

/// One that is ill for too long is stopped; then it is as any that ended.
async fn mend(agent: &Agent, found: Option<&Replica>, stops: &Semaphore) -> Result<Outcome, Error> {
    let after = agent.config.restart_ill_after;
    let Some(ill) = found.filter(|found| found.is_ill(after)) else { return Ok(Outcome::Settled) };
    let name = &ill.container.name;
    match agent.replicas.verdict(ill, after, agent.now()) {
        // The next look that fails comes back to it.
        Verdict::Later => return Ok(Outcome::Settled),
        Verdict::Doubted => {
            tracing::debug!(container = %name, "so many apps are ill at once that none is stopped for it");
            return Ok(Outcome::Settled);
        }
        Verdict::Ended => {}
    }
    let Ok(_stopping) = stops.try_acquire() else { return Ok(Outcome::Settled) };
    let failed_looks = ill.looks.failed_in_a_row();
    tracing::warn!(container = %name, looks = failed_looks, "a container runs and is ill; it is stopped and started again");
    agent.replicas.stopped(ill, agent.now());
    agent.ports.containers.stop(name).await.map_err(Error::Engine)?;
    agent.replicas.ended_ill(name, EndedIll { at: agent.ports.clock.now(), failed_looks });
    Ok(Outcome::Again(Duration::ZERO))
}

/// Runs until the process stops. Registers the condition `engine`.
pub(crate) async fn run(agent: &Arc<Agent>, lifecycle: &Lifecycle) {
    let engine = lifecycle.condition("engine");
    let keeper = Keeper { agent: Arc::clone(agent), engine, stops: Semaphore::new(STOPS_AT_ONCE) };
    let driver = Driver::new("keeper", SETTINGS, agent.wake.clone());
    futures::join!(driver.run(&keeper, lifecycle), follow(agent, lifecycle));
}

/// Wakes the keeper as soon as something happens to a container.
async fn follow(agent: &Agent, lifecycle: &Lifecycle) {
    let follow = async {
        let mut retry = FIRST_RETRY;
        loop {
            if let Ok(mut events) = agent.ports.containers.events().await {
                retry = FIRST_RETRY;
                // What happened before the stream began is found by a scan.
                agent.wake.wake_all();
                while let Some(event) = events.next().await {
                    match event {
                        Event::Started(name) | Event::Exited(name) => agent.wake.wake(name),
                        Event::Resync => agent.wake.wake_all(),
                    }
                }
            }
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    };
    tokio::select! {
        biased;
        () = lifecycle.stopping() => {}
        () = follow => {}
    }
}

#[cfg(test)]
mod tests;
