//! Observe, plan, do one step, again: until somebody else has to do something first.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chassis::owed;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::Stored;
use common::record::owed::Owed;
use common::record::path;
use common::record::platform::PlatformRecord;

use crate::apply::apply;
use crate::changes::{self, Left};
use crate::domain::plan::{Observed, Step, next};
use crate::observe::observe;
use crate::records::{Error, commit, platform};
use crate::shared::Shared;
use crate::status_file;

/// How often it is looked at what is waited for: hints may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After somebody else changed a record.
const AGAIN: Duration = Duration::from_millis(5);
/// Then others have their turn.
const STEPS_AT_ONCE: usize = 32;

/// The key of the one platform there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Single;

impl fmt::Display for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("platform")
    }
}

/// The reconciler of the platform.
#[derive(Debug)]
pub(crate) struct Platform<'a>(pub(crate) &'a Shared);

#[async_trait]
impl Reconcile for Platform<'_> {
    type Key = Single;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<Single>, Error> {
        Ok(vec![Single])
    }

    async fn reconcile(&self, _: &Single) -> Result<Outcome, Error> {
        match self.step().await {
            Err(err) if err.is_changed() => Ok(Outcome::Again(AGAIN)),
            other => other,
        }
    }
}

impl Platform<'_> {
    /// Changes of single services first: what they do not wish for any more is seen by the platform's own step.
    async fn step(&self) -> Result<Outcome, Error> {
        self.0.ports.store.sync().await?;
        let left = changes::follow(self.0).await?;
        let outcome = self.platform().await?;
        Ok(match (left, outcome) {
            (Left::Something, Outcome::Settled) => Outcome::Again(LOOK_EVERY),
            (Left::Something, Outcome::Again(pause)) => Outcome::Again(pause.min(LOOK_EVERY)),
            (Left::Nothing, outcome) => outcome,
        })
    }

    async fn platform(&self) -> Result<Outcome, Error> {
        let shared = self.0;
        shared.ports.store.sync().await?;
        self.tell().await?;
        for _ in 0..STEPS_AT_ONCE {
            let Some(stored) = platform(shared).await? else { return Ok(Outcome::Settled) };
            let observed = observe(shared, stored.record.clone()).await?;
            self.show(&observed);
            let step = next(&observed, &shared.config.rules);
            match step {
                Step::Wait(until) => return Ok(Outcome::Again(pause(&observed, until))),
                Step::Rest => return self.rest(&stored.record).await,
                step @ (Step::Wish { .. }
                | Step::Enter(_)
                | Step::Register(_)
                | Step::Deregister(_)
                | Step::GiveUp(_)
                | Step::Conclude) => self.take(&stored, &observed, step).await?,
            }
            shared.ports.store.sync().await?;
        }
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// The file is written before the outcome is told.
    async fn rest(&self, record: &PlatformRecord) -> Result<Outcome, Error> {
        status_file::update(self.0).await?;
        // What is still owed is told as soon as the bus takes it.
        let is_told = record.owed.is_empty();
        Ok(if is_told { Outcome::Settled } else { Outcome::Again(LOOK_EVERY) })
    }

    async fn take(
        &self,
        stored: &Stored<PlatformRecord>,
        observed: &Observed,
        step: Step,
    ) -> Result<(), Error> {
        tracing::info!(request.id = %stored.record.request, "{step}");
        self.0.metrics.steps.with_label_values(&[name(&step)]).inc();
        apply(self.0, stored, observed, step).await
    }

    /// Tells what is owed. A bus that is away holds up nothing.
    async fn tell(&self) -> Result<(), Error> {
        let shared = self.0;
        let Some(Stored { record, version }) = platform(shared).await? else { return Ok(()) };
        if record.owed.is_empty() {
            return Ok(());
        }
        if let Err(err) = owed::publish(shared.ports.bus.as_ref(), &record.owed).await {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "the bus does not take the outcome yet"
            );
            return Ok(());
        }
        let told = PlatformRecord { owed: Vec::<Owed>::new(), ..record };
        let put = chassis::records::put(path::platform(), &told, Some(version));
        commit(shared, vec![put]).await
    }

    fn show(&self, observed: &Observed) {
        for seen in &observed.services {
            let ready = i64::try_from(seen.ready()).unwrap_or(i64::MAX);
            self.0.metrics.ready.with_label_values(&[seen.service.as_str()]).set(ready);
        }
    }
}

fn pause(observed: &Observed, until: jiff::Timestamp) -> Duration {
    let left = until.duration_since(observed.now);
    Duration::try_from(left).unwrap_or_default().min(LOOK_EVERY)
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Wish { .. } => "wish",
        Step::Enter(_) => "enter",
        Step::Register(_) => "register",
        Step::Deregister(_) => "deregister",
        Step::GiveUp(_) => "give-up",
        Step::Conclude => "conclude",
        Step::Wait(_) => "wait",
        Step::Rest => "rest",
    }
}
