//! Makes one deployment so: observe, plan, apply one step, note it, and again until there is nothing
//! left to do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::{self, Refused};
use chassis::reconcile::{Outcome, Reconcile};
use chassis::{owed, records};
use common::failure::{Failure, FailureCode};
use common::id::Epoch;
use common::name::{LegacyName, NodeName};
use common::port::bus;
use common::record::deployment::{Deployment, State};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::apply::{self, Effect, Round};
use crate::domain::change::Change;
use crate::domain::course::look_again;
use crate::domain::plan::next_step;
use crate::domain::replicas::is_in_progress;
use crate::domain::step::Step;
use crate::note::{self, Held};
use crate::observe::{Found, observe};
use crate::records as stored;
use crate::shared::Shared;

/// How many steps one call makes before it lets others have their turn.
const STEPS: usize = 32;
/// How often a step that takes long looks whether somebody wants something else by now.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// When something that ends again and again is looked at again.
const EXAMINE_AGAIN: Duration = Duration::from_secs(5);
/// Within this what failed is tried again.
const SOON: Duration = Duration::from_secs(10);
/// When a build that waits for its turn asks again.
const BUILD_AGAIN: Duration = Duration::from_secs(1);

/// Why a deployment could not be worked on for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Lead(#[from] leading::Error),
    #[error("a message is still owed")]
    Owed(#[source] bus::Error),
    /// The node does not listen to this epoch.
    #[error("node {node} has heard epoch {seen}")]
    Refused { node: NodeName, seen: Epoch },
    #[error("{0}")]
    Hindered(Failure),
}

impl From<records::Error> for Error {
    fn from(err: records::Error) -> Self {
        Error::Lead(err.into())
    }
}

/// The reconciler of deployments.
#[derive(Debug)]
pub(crate) struct Deployments {
    shared: Arc<Shared>,
}

impl Deployments {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Deployments { shared }
    }

    async fn work(&self, instance: &LegacyName) -> Result<Outcome, Error> {
        let store = self.shared.ports.store.as_ref();
        let Some(stored) = stored::deployment(store, instance).await? else {
            return Ok(Outcome::Settled);
        };
        let mut held = Held::new(stored);
        let mut found = observe(&self.shared, &held.record).await?;
        found.seen.regress = self.watch(&held, &found).await?;
        let mut told = Ok(());
        for _ in 0..STEPS {
            if told.is_ok() {
                told = self.tell(&mut held).await;
            }
            found.seen.nodes = self.shared.fleet.verdicts();
            let step = self.plan(&held.record, &found);
            if let Step::Rest { until } = step {
                told.map_err(Error::Owed)?;
                note::settle(&self.shared, &mut held).await?;
                return self.rest(until, found.seen.route_failed);
            }
            if let Some(outcome) = self.step(&mut held, &mut found, step).await? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// Looks how a release that has taken over does, or a canary.
    async fn watch(&self, held: &Held, found: &Found) -> Result<Option<Failure>, Error> {
        let Held { record: deployment, version, .. } = held;
        let now = self.shared.ports.clock.now();
        if look_again(deployment, &self.shared.config.patience, now).is_none() {
            return Ok(None);
        }
        let round = Round { shared: &self.shared, deployment, version: *version, found };
        apply::watch(&round).await
    }

    /// Publishes what is owed; it is taken from the record with the next note.
    async fn tell(&self, held: &mut Held) -> Result<(), bus::Error> {
        let untold = held.untold();
        owed::publish(self.shared.ports.bus.as_ref(), &untold).await?;
        held.told(&untold);
        Ok(())
    }

    fn plan(&self, deployment: &Deployment, found: &Found) -> Step {
        let now = self.shared.ports.clock.now();
        next_step(deployment, &found.seen, &self.shared.config.patience, now)
    }

    /// Applies and notes one step; says what to do next if that is not to plan again at once.
    async fn step(
        &self,
        held: &mut Held,
        found: &mut Found,
        step: Step,
    ) -> Result<Option<Outcome>, Error> {
        tracing::debug!(instance = %held.record.instance, generation = %held.record.generation, "{step}");
        let began = Instant::now();
        let applied = self.apply(held, found, &step).await;
        self.shared.metrics.stepped(step.name(), began.elapsed().as_secs_f64());
        let Some(Effect { mut changes, hindrance }) = applied? else {
            return Ok(Some(Outcome::Again(Duration::ZERO)));
        };
        // What the edge serves, and what is registered, was read before it was told anew.
        found.seen.upstreams = None;
        found.seen.misregistered = false;
        if hindrance.is_none() && matches!(step, Step::Route { .. }) {
            found.seen.route_failed = None;
        }
        let hindered = hindrance.as_ref().filter(|_| may_be_hindered(&held.record));
        if let Some(failure) = hindered
            && (held.record.failure.as_ref() != Some(failure) || !changes.is_empty())
        {
            changes.push(Change::Hindered { failure: failure.clone() });
        }
        if step == Step::Forget {
            note::forget(&self.shared, held).await?;
            return Ok(Some(Outcome::Settled));
        }
        if !changes.is_empty() {
            note::note(&self.shared, held, &changes).await?;
        }
        match hindrance {
            Some(failure) if self.goes_on(&held.record, found, &step, &failure) => Ok(None),
            Some(failure) => Err(Error::Hindered(failure)),
            None if changes.is_empty() => Ok(Some(Outcome::Again(pause(&step)))),
            None => Ok(None),
        }
    }

    /// Whether something else can be done while the edge cannot be told this route.
    fn goes_on(
        &self,
        deployment: &Deployment,
        found: &mut Found,
        step: &Step,
        failure: &Failure,
    ) -> bool {
        let is_first = matches!(step, Step::Route { .. }) && found.seen.route_failed.is_none();
        if is_first {
            found.seen.route_failed = Some(failure.clone());
        }
        is_first && self.plan(deployment, found) != *step
    }

    /// None if somebody wanted something else in the meantime, or the deadline passed.
    async fn apply(
        &self,
        held: &Held,
        found: &Found,
        step: &Step,
    ) -> Result<Option<Effect>, Error> {
        let Held { record: deployment, version, .. } = held;
        let round = Round { shared: &self.shared, deployment, version: *version, found };
        tokio::select! {
            biased;
            effect = apply::apply(&round, step) => effect.map(Some),
            () = self.overtaken(deployment) => Ok(None),
            () = self.expired(deployment) => Ok(None),
        }
    }

    async fn overtaken(&self, deployment: &Deployment) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let store = self.shared.ports.store.as_ref();
            let found = stored::deployment(store, &deployment.instance).await;
            let newer = |found: &records::Stored<Deployment>| {
                found.record.generation > deployment.generation
            };
            if found.is_ok_and(|found| found.as_ref().is_some_and(newer)) {
                return;
            }
        }
    }

    async fn expired(&self, deployment: &Deployment) {
        if is_in_progress(deployment) {
            tokio::time::sleep(self.until(deployment.deadline)).await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// What is due soon does not wait as long as what failed.
    fn rest(
        &self,
        until: Option<Timestamp>,
        route_failed: Option<Failure>,
    ) -> Result<Outcome, Error> {
        let wait = until.map(|until| self.until(until));
        match route_failed {
            Some(failure) if wait.is_none_or(|wait| wait > SOON) => Err(Error::Hindered(failure)),
            Some(_) | None => Ok(wait.map_or(Outcome::Settled, Outcome::Again)),
        }
    }

    fn until(&self, time: Timestamp) -> Duration {
        let left = time.duration_since(self.shared.ports.clock.now());
        Duration::try_from(left).unwrap_or_default()
    }
}

/// Whether the record says what stands in the way. While something is unmade it says why.
fn may_be_hindered(deployment: &Deployment) -> bool {
    is_in_progress(deployment) && deployment.state != State::Undoing
}

/// How long to wait after a step that changed nothing: those that look for themselves have waited.
fn pause(step: &Step) -> Duration {
    if matches!(step, Step::Examine { .. }) {
        EXAMINE_AGAIN
    } else if matches!(step, Step::Build { .. }) {
        BUILD_AGAIN
    } else {
        Duration::ZERO
    }
}

#[async_trait]
impl Reconcile for Deployments {
    type Key = LegacyName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<LegacyName>, Error> {
        Ok(stored::instances(self.shared.ports.store.as_ref()).await?)
    }

    async fn reconcile(&self, instance: &LegacyName) -> Result<Outcome, Error> {
        match self.work(instance).await {
            // Somebody wants something else by now, or a read was stale.
            Err(Error::Lead(err)) if err.is_changed() => Ok(Outcome::Again(Duration::ZERO)),
            Err(Error::Refused { node, seen }) => {
                match self.shared.held.refused(&self.shared.seat, &node, seen).await {
                    Refused::Deposed => Err(leading::Error::Deposed.into()),
                    Refused::Held => {
                        let words =
                            format!("node {node} was led from another store, and is left as it is");
                        Err(Error::Hindered(Failure::new(FailureCode::NodeUnavailable, words)))
                    }
                }
            }
            worked => worked,
        }
    }
}
