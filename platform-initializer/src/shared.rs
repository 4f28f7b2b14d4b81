//! What the parts of the platform initializer share: ports, settings, the leadership.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::leading::Seat;
use chassis::reconcile::Wake;
use common::service::ServiceName;
use tokio::sync::watch;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::reconcile::Single;
use crate::status_file::Written;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) seat: Seat,
    pub(crate) metrics: Metrics,
    pub(crate) wake: Wake<Single>,
    /// Counts this instance's writes: whoever waits for an outcome looks again.
    changes: watch::Sender<u64>,
    /// Why the load balancer refused a service of late.
    refusals: Mutex<BTreeMap<ServiceName, String>>,
    /// What the status file says; held while it is written.
    pub(crate) written: tokio::sync::Mutex<Written>,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let (store, advertised) = (Arc::clone(&ports.store), config.advertised.clone());
        Arc::new(Shared {
            seat: Seat::new(ServiceName::PlatformInitializer, store, advertised),
            ports,
            config,
            metrics: Metrics::new(),
            wake: Wake::new(),
            changes: watch::Sender::new(0),
            refusals: Mutex::default(),
            written: tokio::sync::Mutex::default(),
        })
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
}
