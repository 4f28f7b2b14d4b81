//! Makes the ledger's parts so, for ever: after a crash of a part, of the agent, of the engine, of the machine.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::lifecycle::Lifecycle;
use chassis::reconcile::{Driver, Outcome, Reconcile, Settings};
use common::name::PartName;
use common::port::part::PartImage;
use common::port::part_containers::PartEvent;
use futures::StreamExt as _;

use super::Parts;
use crate::agent::Error;
use crate::domain::keep::{Found, Step, next_step};

const SETTINGS: Settings = Settings {
    scan_every: Duration::from_secs(10),
    at_once: 8,
    first_retry: Duration::from_millis(200),
    last_retry: Duration::from_secs(10),
    // Longer than fetching an image, and than reading code and building it. For its turn to build nothing waits here.
    deadline: Duration::from_mins(20),
};
/// When a part is looked at again that waits for its turn to be built: it holds up no other until then.
const NEXT_TURN: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Keeper(Arc<Parts>);

#[async_trait]
impl Reconcile for Keeper {
    type Key = PartName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<PartName>, Error> {
        self.0.list().await?;
        Ok(self.0.ledger.read().parts().names().cloned().collect())
    }

    async fn reconcile(&self, name: &PartName) -> Result<Outcome, Error> {
        let parts = &self.0;
        let _held = parts.locks.lock(name).await;
        let found = parts.look(name).await?;
        let Some(told) = parts.ledger.part(name) else { return Ok(Outcome::Settled) };
        let history = found.as_ref().map(|found| found.history.clone()).unwrap_or_default();
        let there = found
            .as_ref()
            .map(|found| Found { spec_hash: &found.part.spec_hash, state: &found.part.state });
        let now = parts.now();
        if let Some(left) = parts.pauses.left(name, now) {
            return Ok(Outcome::Again(left));
        }
        let step = next_step(&told.spec.hash(), there, &history, now);
        if step != Step::Keep {
            let crash_loop = history.is_loop(now);
            tracing::warn!(part = %name, step = %step, crash_loop, exit = ?history.last_exit(), "a part does not run");
        }
        match step {
            Step::Keep => return Ok(Outcome::Settled),
            Step::Wait(wait) => return Ok(Outcome::Again(wait)),
            Step::Make | Step::Restart => {}
        }
        if let PartImage::Built(code) = &told.spec.image
            && parts.builder.has_to_wait(code).await.map_err(Error::Code)?
        {
            return Ok(Outcome::Again(NEXT_TURN));
        }
        if let Err(err) = parts.make_run(&told.spec, told.epoch).await {
            if !matches!(err, Error::Code(_)) {
                return Err(err);
            }
            let wait = parts.pauses.failed(name, parts.now());
            tracing::warn!(error = &err as &dyn std::error::Error, part = %name, wait_s = wait.as_secs(), "the code of a part could not be built");
            return Ok(Outcome::Again(wait));
        }
        if step == Step::Restart {
            parts.standing.restarted(name);
        }
        Ok(Outcome::Settled)
    }
}

/// Runs until the process stops.
pub(super) async fn run(parts: &Arc<Parts>, lifecycle: &Lifecycle) {
    let driver = Driver::new("parts", SETTINGS, parts.wake.clone());
    let keeper = Keeper(Arc::clone(parts));
    futures::join!(driver.run(&keeper, lifecycle), follow(parts, lifecycle));
}

/// Wakes the keeper as soon as something happens to a part.
async fn follow(parts: &Parts, lifecycle: &Lifecycle) {
    let follow = async {
        let mut retry = FIRST_RETRY;
        loop {
            if let Ok(mut events) = parts.engine.part_events().await {
                retry = FIRST_RETRY;
                // What happened before the stream began is found by a scan.
                parts.wake.wake_all();
                while let Some(event) = events.next().await {
                    match event {
                        PartEvent::Changed(name) => parts.wake.wake(name),
                        PartEvent::Resync => parts.wake.wake_all(),
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
