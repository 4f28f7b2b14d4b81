//! What the parts of monitoring share: ports, settings, the leadership, what the last round saw.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chassis::leading::Seat;
use chassis::reconcile::Wake;
use common::id::RequestId;
use common::service::ServiceName;
use tokio::time::Instant;

use crate::config::Config;
use crate::domain::Moment;
use crate::domain::board::Sight;
use crate::domain::target::Target;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::view::View;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) seat: Seat,
    pub(crate) metrics: Metrics,
    pub(crate) view: View,
    /// Something is owed for an incident.
    pub(crate) dues_wake: Wake<RequestId>,
    started_at: Instant,
    /// None before the first round is over.
    sight: Mutex<Option<Sight>>,
    /// The restarts that the bus has taken since the last round, and when.
    sent: Mutex<Vec<(Target, Moment)>>,
    /// How many notices are owed to receivers.
    notices: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let (store, advertised) = (Arc::clone(&ports.store), config.advertised.clone());
        Arc::new(Shared {
            seat: Seat::new(ServiceName::Monitoring, store, advertised),
            ports,
            config,
            metrics: Metrics::new(),
            view: View::default(),
            dues_wake: Wake::new(),
            started_at: Instant::now(),
            sight: Mutex::default(),
            sent: Mutex::default(),
            notices: AtomicUsize::new(0),
        })
    }

    /// Monotonic time, from the start of this process.
    pub(crate) fn now(&self) -> Moment {
        self.started_at.elapsed()
    }

    pub(crate) fn saw(&self, sight: Sight) {
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner) = Some(sight);
    }

    pub(crate) fn sight(&self) -> Option<Sight> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody knows how things are: nothing that depends on it is done.
    pub(crate) fn lose_sight(&self) {
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The bus has taken a request for the restart of this target: from now on its wait counts.
    pub(crate) fn restart_sent(&self, target: Target) {
        let now = self.now();
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push((target, now));
    }

    pub(crate) fn take_sent(&self) -> Vec<(Target, Moment)> {
        std::mem::take(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many notices all records owe.
    pub(crate) fn owes_notices(&self, count: usize) {
        self.notices.store(count, Ordering::Relaxed);
        self.show_notices();
    }

    /// Whether so many more may be owed; then they are counted as owed.
    pub(crate) fn may_owe_notices(&self, more: usize) -> bool {
        let owed = self.notices.load(Ordering::Relaxed);
        let fits = owed.saturating_add(more) <= self.config.notices_at_most;
        if fits {
            self.owes_notices(owed + more);
        }
        fits
    }

    pub(crate) fn paid_notices(&self, count: usize) {
        let owed = self.notices.load(Ordering::Relaxed);
        self.owes_notices(owed.saturating_sub(count));
    }

    fn show_notices(&self) {
        let owed = i64::try_from(self.notices.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        self.metrics.notices_owed.set(owed);
    }
}
