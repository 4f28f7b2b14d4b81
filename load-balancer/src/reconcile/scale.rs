//! The outcome of scales: told once the route serves as many replicas as were wanted, or when that
//! is given up. A stopped instance's wanted number goes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Error;
use chassis::operations::conclude;
use chassis::reconcile::{Outcome as Next, Reconcile};
use chassis::records::{self, Stored};
use chassis::{owed, records::put};
use common::name::LegacyName;
use common::port::store::Op;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::scale::Scale;
use jiff::SignedDuration;

use crate::commands::scale_app::{operation, told};
use crate::domain::scale::{Verdict, is_void, judge};
use crate::records::{all, deployment, scale};
use crate::shared::Shared;

/// How often a scale under way is looked at, besides at each change of its route.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ends scales.
#[derive(Debug)]
pub(crate) struct ScaleReconciler {
    pub(crate) shared: Arc<Shared>,
}

impl ScaleReconciler {
    /// Publishes what the record owes, then clears exactly that.
    async fn tell(&self, stored: &Stored<Scale>) -> Result<(), Error> {
        owed::publish(&*self.shared.ports.bus, &stored.record.owed).await?;
        let mut record = stored.record.clone();
        record.owed.clear();
        let path = path::scale(&record.instance);
        self.shared.seat.commit(vec![put(path, &record, Some(stored.version))]).await.map(drop)
    }

    async fn end(&self, stored: &Stored<Scale>, end: Outcome) -> Result<(), Error> {
        let at = operation(&stored.record);
        let ended = conclude(&*self.shared.ports.store, &at, end.clone()).await?;
        let Some(ended) = ended else { return Ok(()) };
        let mut record = stored.record.clone();
        record.owed.push(told(&record, &end));
        let path = path::scale(&record.instance);
        self.shared.seat.commit(vec![ended, put(path, &record, Some(stored.version))]).await?;
        let label = match &end {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::Failed { .. } => "failed",
            Outcome::Superseded => "superseded",
        };
        self.shared.metrics.scales.with_label_values(&[label]).inc();
        self.shared.balance_wake.wake(record.instance.clone());
        Ok(())
    }

    /// How many replicas get requests, unless they are ill: those of the route, if the edge serves exactly them.
    async fn serving(&self, instance: &LegacyName) -> Result<usize, Error> {
        let route = crate::records::route(&*self.shared.ports.store, instance).await?;
        let Some(route) = route.map(|stored| stored.record) else { return Ok(0) };
        let served = self.shared.served();
        let has_all = served.borrow().has(instance, &route.upstreams);
        Ok(if has_all { route.upstreams.len() } else { 0 })
    }
}

#[async_trait]
impl Reconcile for ScaleReconciler {
    type Key = LegacyName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<LegacyName>, Error> {
        let scales = all::<Scale>(&*self.shared.ports.store, &path::folder("scale")).await?;
        Ok(scales.into_iter().map(|stored| stored.record.instance).collect())
    }

    async fn reconcile(&self, instance: &LegacyName) -> Result<Next, Error> {
        let store = &*self.shared.ports.store;
        store.sync().await?;
        let Some(stored) = scale(store, instance).await? else { return Ok(Next::Settled) };
        if !stored.record.owed.is_empty() {
            self.tell(&stored).await?;
            return Ok(Next::Again(Duration::ZERO));
        }
        let deployment = deployment(store, instance).await?;
        let request = records::load::<Operation>(store, &operation(&stored.record)).await?;
        let pending = request.filter(|request| request.record.outcome.is_none());
        let Some(Stored { record: request, .. }) = pending else {
            if is_void(&stored.record, deployment.as_ref()) {
                let delete = Op::Delete { path: path::scale(instance), version: stored.version };
                self.shared.seat.commit(vec![delete]).await?;
            }
            return Ok(Next::Settled);
        };
        let age = self.shared.ports.clock.now().duration_since(request.accepted_at);
        let within = SignedDuration::try_from(self.shared.config.scale_within)
            .unwrap_or(SignedDuration::MAX);
        let serving = self.serving(instance).await?;
        match judge(&stored.record, serving, deployment.as_ref(), age, within) {
            Verdict::Pending => return Ok(Next::Again(LOOK_EVERY)),
            Verdict::Reached => self.end(&stored, Outcome::Succeeded { details: None }).await?,
            Verdict::GivenUp(failure) => {
                self.end(&stored, Outcome::Failed { failure, details: None }).await?;
            }
        }
        Ok(Next::Again(Duration::ZERO))
    }
}
