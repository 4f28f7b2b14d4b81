//! What the parts of this service share.

use std::sync::{Arc, OnceLock};

use chassis::epoch::Lead;
use chassis::reconcile::Wake;
use common::id::Epoch;
use common::name::{LegacyName, NodeName};
use common::port::nodes::Issuer;
use common::service::ServiceName;
use tokio::sync::{Notify, Semaphore};

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

    pub(crate) fn issuer(&self) -> Issuer {
        let epoch = self.lead().map_or(Epoch(0), |lead| lead.epoch);
        Issuer { service: ServiceName::DeploymentManager, epoch }
    }
}
