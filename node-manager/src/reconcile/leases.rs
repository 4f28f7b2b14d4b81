//! The end of leases: a host port is given back only when nobody claims it and its node says that
//! nothing of ours is on it, and not before its quarantine.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Error;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use common::name::{LegacyName, NodeName};
use common::port::nodes::Sample;
use common::port::store::Op;
use common::record::deployment::Deployment;
use common::record::node::PortLease;
use common::record::path;

use crate::domain::lease::{Observed, Step, next_step};
use crate::records as ours;
use crate::shared::Shared;

const EVERY: Duration = Duration::from_secs(5);

/// The reconciler of leases: all of one node at a time.
#[derive(Debug)]
pub(crate) struct Leases<'a>(pub(crate) &'a Shared);

/// A lease and what it depends on, as they were read.
struct Found {
    port: u16,
    lease: Stored<PortLease>,
    deployment: Option<Stored<Deployment>>,
    observed: Observed,
}

#[async_trait]
impl Reconcile for Leases<'_> {
    type Key = NodeName;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<NodeName>, Error> {
        Ok(self.0.members().names())
    }

    async fn reconcile(&self, node: &NodeName) -> Result<Outcome, Error> {
        // The node's word is taken before anything else is read: what claims a port later than
        // that is seen, and what was started before that is in the sample.
        let sample = self.0.heartbeats.fresh(node);
        self.0.ports.store.sync().await?;
        let mut deployments = BTreeMap::new();
        let (mut held, mut quarantined) = (0, 0);
        for port in ours::leased_ports(self.0, node).await? {
            let found = self.observe(node, port, sample.as_ref(), &mut deployments).await?;
            let Some(found) = found else { continue };
            match found.lease.record.released_at {
                None => held += 1,
                Some(_) => quarantined += 1,
            }
            match self.take_step(node, &found).await {
                Err(err) if err.is_changed() => {}
                other => other?,
            }
        }
        for (state, count) in [("held", held), ("quarantined", quarantined)] {
            self.0.metrics.leases.with_label_values(&[node.as_str(), state]).set(count);
        }
        Ok(Outcome::Again(EVERY))
    }
}

impl Leases<'_> {
    async fn observe(
        &self,
        node: &NodeName,
        port: u16,
        sample: Option<&Sample>,
        deployments: &mut BTreeMap<LegacyName, Option<Stored<Deployment>>>,
    ) -> Result<Option<Found>, Error> {
        let Some(lease) = ours::lease(self.0, node, port).await? else { return Ok(None) };
        let PortLease { instance, request, .. } = &lease.record;
        let deployment = match deployments.get(instance) {
            Some(known) => known.clone(),
            None => {
                let read = ours::deployment(self.0, instance).await?;
                deployments.insert(instance.clone(), read.clone());
                read
            }
        };
        let is_slot = deployment.as_ref().is_some_and(|deployment| {
            deployment.record.slots.iter().any(|slot| slot.placement_request == *request)
        });
        let claimed = is_slot || ours::placement(self.0, *request).await?.is_some();
        let occupied = sample
            .map(|sample| sample.containers.iter().any(|container| container.host_port == port));
        Ok(Some(Found { port, lease, deployment, observed: Observed { claimed, occupied } }))
    }

    async fn take_step(&self, node: &NodeName, found: &Found) -> Result<(), Error> {
        let now = self.0.ports.clock.now();
        let Stored { record, version } = &found.lease;
        let path = path::node_port(node, found.port);
        let change = match next_step(record, found.observed, now, self.0.config.quarantine) {
            Step::Keep => return Ok(()),
            Step::Release => {
                let released = PortLease { released_at: Some(now), ..record.clone() };
                records::put(path, &released, Some(*version))
            }
            Step::Hold => {
                let held = PortLease { released_at: None, ..record.clone() };
                records::put(path, &held, Some(*version))
            }
            Step::Forget => Op::Delete { path, version: *version },
        };
        let unchanged = found.deployment.as_ref().map(|deployment| Op::Check {
            path: path::deployment(&record.instance),
            version: deployment.version,
        });
        self.0.seat.commit(unchanged.into_iter().chain([change]).collect()).await?;
        tracing::debug!(node.id = %node, port = found.port, instance = %record.instance, "a lease went on");
        Ok(())
    }
}
