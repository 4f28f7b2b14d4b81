//! Answers requests for a node: decide, lease and note the answer in one transaction; tell it; forget it.

mod answer;

use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Error;
use chassis::operations;
use chassis::owed;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::failure::Failure;
use common::id::RequestId;
use common::message::NodeChoice;
use common::port::store::{Op, Path};
use common::record::node::PortLease;
use common::record::operation::{self, Operation};
use common::record::owed::Owed;
use common::record::path;
use common::service::ServiceName;
use jiff::SignedDuration;

use super::observe;
use crate::commands::KIND;
use crate::domain::placement::{Chosen, choose, unknown_instance};
use crate::records::{Placement, needs, placement, placement_path, placements};
use crate::shared::Shared;

/// How often a request that waits for a silent node is looked at.
const WAIT: Duration = Duration::from_millis(300);
/// After somebody else took the port: look again at once, but let others in.
const AGAIN: Duration = Duration::from_millis(5);

/// The reconciler of requests for a node.
#[derive(Debug)]
pub(crate) struct Placements<'a>(pub(crate) &'a Shared);

#[async_trait]
impl Reconcile for Placements<'_> {
    type Key = RequestId;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<RequestId>, Error> {
        let found = records::sharded(self.0.ports.store.as_ref(), &placements()).await?;
        let keys: Vec<RequestId> = found.iter().filter_map(|(_, name)| name.parse().ok()).collect();
        self.0.metrics.placements_waiting.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        Ok(keys)
    }

    async fn reconcile(&self, request: &RequestId) -> Result<Outcome, Error> {
        match self.step(*request).await {
            Err(err) if err.is_changed() => Ok(Outcome::Again(AGAIN)),
            other => other,
        }
    }
}

impl Placements<'_> {
    async fn step(&self, request: RequestId) -> Result<Outcome, Error> {
        let shared = self.0;
        let Some(Stored { record, version }) = placement(shared, request).await? else {
            return Ok(Outcome::Settled);
        };
        if record.owed.is_empty() {
            return self.answer(Stored { record, version }).await;
        }
        owed::publish(shared.ports.bus.as_ref(), &record.owed).await?;
        let told = Op::Delete { path: placement_path(request), version };
        shared.seat.commit(vec![told]).await?;
        Ok(Outcome::Settled)
    }

    /// Notes the answer; telling it is the next step.
    async fn answer(&self, asked: Stored<Placement>) -> Result<Outcome, Error> {
        let operation = operation_path(asked.record.request);
        let store = self.0.ports.store.as_ref();
        let known: Option<Stored<Operation>> = records::load(store, &operation).await?;
        if let Some(outcome) = known.and_then(|known| known.record.outcome) {
            let answer = answer::from_outcome(&asked.record.instance, &outcome);
            self.0.seat.commit(vec![owing(&asked, answer::owed(&asked.record, answer))]).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        }
        let _one_at_a_time = self.0.allocation.lock().await;
        // What is asked for was recorded before the question was sent.
        store.sync().await?;
        let instance = &asked.record.instance;
        let Some((needs, strategy)) = needs(self.0, instance, Some(asked.record.request)).await?
        else {
            self.refuse(&asked, unknown_instance()).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        };
        let request = asked.record.request;
        let candidates = observe::candidates(self.0, Some(instance), Some(request)).await?;
        match choose(&candidates, &needs, strategy) {
            Ok(chosen) => self.place(&asked, &chosen).await?,
            Err(unplaced) if unplaced.passes() && self.may_wait(&asked.record) => {
                return Ok(Outcome::Again(WAIT));
            }
            Err(unplaced) => self.refuse(&asked, unplaced.failure()).await?,
        }
        Ok(Outcome::Again(Duration::ZERO))
    }

    fn may_wait(&self, asked: &Placement) -> bool {
        let waited = self.0.ports.clock.now().duration_since(asked.asked_at);
        let patience = SignedDuration::try_from(self.0.config.patience);
        patience.is_ok_and(|patience| waited < patience)
    }

    async fn place(&self, asked: &Stored<Placement>, chosen: &Chosen) -> Result<(), Error> {
        let Some(node) = self.0.members().find(&chosen.node) else {
            return Err(records::Error::Changed.into());
        };
        let choice = NodeChoice {
            id: node.name.to_string(),
            name: node.name.clone(),
            ip: node.ip,
            os: node.os.clone(),
            port: chosen.port,
        };
        let lease = PortLease {
            schema: 1,
            instance: asked.record.instance.clone(),
            request: asked.record.request,
            leased_at: self.0.ports.clock.now(),
            released_at: None,
        };
        let leased = records::put(path::node_port(&node.name, chosen.port), &lease, None);
        let details = answer::details(&asked.record.instance, &choice);
        let outcome = operation::Outcome::Succeeded { details: Some(details) };
        let answer = answer::owed(&asked.record, answer::found(&asked.record.instance, choice));
        self.conclude(asked, vec![leased, owing(asked, answer)], outcome).await?;
        tracing::info!(request.id = %asked.record.request, instance = %asked.record.instance, node.id = %node.name, port = chosen.port, "placed");
        self.count(&asked.record, "placed");
        Ok(())
    }

    async fn refuse(&self, asked: &Stored<Placement>, failure: Failure) -> Result<(), Error> {
        let code = failure.code;
        tracing::warn!(request.id = %asked.record.request, instance = %asked.record.instance, code = %code, "{}", failure.message);
        let outcome = operation::Outcome::Failed { failure, details: None };
        let answer = answer::owed(&asked.record, answer::none(&asked.record.instance, code));
        self.conclude(asked, vec![owing(asked, answer)], outcome).await?;
        self.count(&asked.record, code.as_str());
        Ok(())
    }

    /// Everything the answer means, in one transaction with the outcome of the request.
    async fn conclude(
        &self,
        asked: &Stored<Placement>,
        mut changes: Vec<Op>,
        outcome: operation::Outcome,
    ) -> Result<(), Error> {
        let store = self.0.ports.store.as_ref();
        let operation = operation_path(asked.record.request);
        changes.extend(operations::conclude(store, &operation, outcome).await?);
        self.0.seat.commit(changes).await.map(drop)
    }

    fn count(&self, asked: &Placement, outcome: &str) {
        let took = self.0.ports.clock.now().duration_since(asked.asked_at);
        self.0.metrics.placement_seconds.observe(took.as_secs_f64());
        self.0.metrics.placements.with_label_values(&[outcome]).inc();
    }
}

fn operation_path(request: RequestId) -> Path {
    path::operation(request, ServiceName::NodeManager, KIND)
}

/// The operation that notes the answer in the placement.
fn owing(asked: &Stored<Placement>, owed: Owed) -> Op {
    let record = Placement { owed: vec![owed], ..asked.record.clone() };
    records::put(placement_path(record.request), &record, Some(asked.version))
}
