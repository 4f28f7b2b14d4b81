//! What the parts of the platform initializer share: ports, settings, the leadership.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chassis::epoch::Lead;
use chassis::reconcile::Wake;
use common::record::platform::PlatformReached;
use common::service::ServiceName;
use tokio::sync::watch;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::reconcile::Single;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) wake: Wake<Single>,
    lead: OnceLock<Lead>,
    deposed: watch::Sender<bool>,
    /// Counts this instance's writes: whoever waits for an outcome looks again.
    changes: watch::Sender<u64>,
    /// Why the load balancer refused a service of late.
    refusals: Mutex<BTreeMap<ServiceName, String>>,
    /// What the status file says, once it was written.
    written: Mutex<Option<PlatformReached>>,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        Arc::new(Shared {
            ports,
            config,
            metrics: Metrics::new(),
            wake: Wake::new(),
            lead: OnceLock::new(),
            deposed: watch::Sender::new(false),
            changes: watch::Sender::new(0),
            refusals: Mutex::default(),
            written: Mutex::default(),
        })
    }

    /// Set once, by the service's run, before anything is written.
    pub(crate) fn take_lead(&self, lead: Lead) {
        // A second run of the same service would be a second leader: its writes keep the first
        // epoch and fail.
        drop(self.lead.set(lead));
    }

    pub(crate) fn lead(&self) -> Option<&Lead> {
        self.lead.get()
    }

    /// Another instance leads: this one has to end.
    pub(crate) fn depose(&self) {
        self.deposed.send_replace(true);
    }

    /// Completes once another instance leads.
    pub(crate) async fn deposed(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        drop(self.deposed.subscribe().wait_for(|deposed| *deposed).await);
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn refused(&self, service: ServiceName, why: String) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).insert(service, why);
    }

    pub(crate) fn taken(&self, service: ServiceName) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(&service);
    }

    pub(crate) fn refusal(&self, service: ServiceName) -> Option<String> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).get(&service).cloned()
    }

    pub(crate) fn written(&self) -> Option<PlatformReached> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn wrote(&self, reached: PlatformReached) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(reached);
    }
}
