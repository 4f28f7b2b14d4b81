//! The verdict on each node, written when it changes; and the alert about what a node runs out of.

use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Error;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::name::NodeName;
use common::record::node::{Alive, Verdict};
use common::record::path;

use crate::domain::liveness::{Future, Judgement, judge};
use crate::domain::load;
use crate::drains;
use crate::metrics::verdict_name;
use crate::shared::Shared;

const EVERY: Duration = Duration::from_millis(250);

/// The reconciler of verdicts.
#[derive(Debug)]
pub(crate) struct Verdicts<'a>(pub(crate) &'a Shared);

#[async_trait]
impl Reconcile for Verdicts<'_> {
    type Key = NodeName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<NodeName>, Error> {
        Ok(self.0.members().names())
    }

    async fn reconcile(&self, node: &NodeName) -> Result<Outcome, Error> {
        let Some(member) = self.0.members().find(node) else { return Ok(Outcome::Settled) };
        self.look_at_load(node);
        let future = if member.leaves {
            Future::Leaves
        } else if drains::stands(self.0, node).await? {
            Future::Drained
        } else {
            Future::Stays
        };
        let before = self.before(node).await?;
        let heard = self.0.heartbeats.heard(node);
        let verdict = before.as_ref().map(|before| before.record.verdict);
        let judgement = judge(self.0.heartbeats.thresholds(), &heard, verdict, future);
        if let Some(judgement) = judgement.filter(|new| Some(new.verdict) != verdict) {
            self.pronounce(node, judgement, before).await?;
        }
        Ok(Outcome::Again(EVERY))
    }
}

impl Verdicts<'_> {
    /// The verdict that stands, read from the store where it is not known.
    async fn before(&self, node: &NodeName) -> Result<Option<Stored<Alive>>, Error> {
        if let Some(known) = self.0.verdict(node) {
            return Ok(Some(known));
        }
        let store = self.0.ports.store.as_ref();
        let stored: Option<Stored<Alive>> = records::load(store, &path::alive(node)).await?;
        if let Some(stored) = &stored {
            self.0.metrics.verdict_is(node, stored.record.verdict);
            self.0.verdicts().insert(node.clone(), stored.clone());
        }
        Ok(stored)
    }

    async fn pronounce(
        &self,
        node: &NodeName,
        judgement: Judgement,
        before: Option<Stored<Alive>>,
    ) -> Result<(), Error> {
        let Judgement { verdict, reason } = judgement;
        let since = self.0.ports.clock.now();
        let alive = Alive { schema: 1, node: node.clone(), verdict, reason: reason.clone(), since };
        let version = before.map(|before| before.version);
        // Whatever comes of it, what stands in the store is read again.
        self.0.verdicts().remove(node);
        self.0.seat.commit(vec![records::put(path::alive(node), &alive, version)]).await?;
        if verdict == Verdict::Dead {
            self.0.heartbeats.died(node);
        }
        self.before(node).await?;
        tracing::warn!(node.id = %node, verdict = verdict_name(verdict), reason, "a node's state changed");
        self.0.metrics.verdict_is(node, verdict);
        self.0.placement_wake.wake_all();
        self.0.lease_wake.wake(node.clone());
        Ok(())
    }

    fn look_at_load(&self, node: &NodeName) {
        let Some(sample) = self.0.heartbeats.fresh(node) else { return };
        self.0.metrics.used(node, &sample.node);
        let alert = load::alert(&sample.node, self.0.config.alert_percent);
        let mut alerts = self.0.alerts();
        let before = match alert {
            Some(alert) => alerts.insert(node.clone(), alert),
            None => alerts.remove(node),
        };
        drop(alerts);
        if before == alert {
            return;
        }
        self.0.metrics.alert_is(node, alert);
        match alert {
            Some(alert) => tracing::warn!(
                node.id = %node,
                cpu_percent = sample.node.cpu_percent,
                memory_percent = sample.node.memory_percent,
                disk_percent = sample.node.disk_percent,
                "{alert}"
            ),
            None => tracing::info!(node.id = %node, "the node has enough of everything again"),
        }
    }
}
