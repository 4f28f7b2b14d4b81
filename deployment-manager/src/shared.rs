//! What the parts of this service share.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use chassis::epoch::Lead;
use chassis::reconcile::Wake;
use common::id::Epoch;
use common::name::{LegacyName, NodeName};
use common::port::nodes::Issuer;
use common::port::store::Op;
use common::service::ServiceName;
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::Config;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::ports::Ports;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) fleet: Fleet,
    pub(crate) deployments: Wake<LegacyName>,
    pub(crate) nodes: Wake<NodeName>,
    /// Held while an image is built.
    pub(crate) building: Semaphore,
    lead: OnceLock<Lead>,
    /// Told when somebody else turns out to lead.
    pub(crate) deposed: Notify,
    /// Nodes that were led from another store: nothing is started or removed there.
    held: watch::Sender<BTreeMap<NodeName, Epoch>>,
}

/// Why an agent does not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Another deployment manager leads.
    Deposed,
    /// It was led from another store.
    Held,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let building = Semaphore::new(config.builds_at_once);
        Arc::new(Shared {
            building,
            ports,
            config,
            metrics: Metrics::new(),
            fleet: Fleet::default(),
            deployments: Wake::new(),
            nodes: Wake::new(),
            lead: OnceLock::new(),
            deposed: Notify::new(),
            held: watch::Sender::default(),
        })
    }

    /// Set once, by the service's run, before anything is written.
    pub(crate) fn take_lead(&self, lead: Lead) {
        // A second run of the same service keeps the first epoch, and its writes fail.
        drop(self.lead.set(lead));
    }

    pub(crate) fn lead(&self) -> Option<&Lead> {
        self.lead.get()
    }

    /// An agent has heard of a higher epoch. Either another leads, whose epoch stands in the store by now; or the store is
    /// not the one that the agent was led from. Then every further lead would only come closer to what it heard,
    /// and would take its containers for nobody's: so the node is held, until an operator has looked.
    pub(crate) async fn refused(&self, node: &NodeName, seen: Epoch) -> Refused {
        if !self.still_leads().await {
            self.deposed.notify_one();
            return Refused::Deposed;
        }
        let held = self.held.send_if_modified(|held| held.insert(node.clone(), seen) != Some(seen));
        if held {
            tracing::error!(%node, %seen, epoch = %self.issuer().epoch, "the node was led from another store; nothing is started or removed there");
        }
        Refused::Held
    }

    /// What is told of nodes that are held, whenever it changes.
    pub(crate) fn held(&self) -> watch::Receiver<BTreeMap<NodeName, Epoch>> {
        self.held.subscribe()
    }

    async fn still_leads(&self) -> bool {
        let Some(Op::Check { path, version }) = self.lead().map(Lead::check) else { return false };
        let store = self.ports.store.as_ref();
        if store.sync().await.is_err() {
            return false;
        }
        matches!(store.get(&path).await, Ok(Some(entry)) if entry.version == version)
    }

    pub(crate) fn issuer(&self) -> Issuer {
        let epoch = self.lead().map_or(Epoch(0), |lead| lead.epoch);
        Issuer { service: ServiceName::DeploymentManager, epoch }
    }
}
