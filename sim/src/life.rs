//! Lives of services: who lives, since when, and where others reach them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use app_manager::Door;
use chassis::lifecycle::Lifecycle;
use common::port::{Drains, Routes};
use common::service::ServiceName;
use testkit::MemoryStore;

use crate::fleet::Spot;
use crate::stage::Owner;

/// One life of a service: from its start to its crash.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) number: Owner,
    pub(crate) service: ServiceName,
    /// `deployment-manager 3`.
    pub(crate) label: String,
    /// Its connection to the store.
    pub(crate) session: MemoryStore,
    pub(crate) lifecycle: Lifecycle,
    /// Where its process is; none for one of a storm of apps, which is nowhere.
    pub(crate) spot: Option<Spot>,
    entrances: Mutex<Entrances>,
    dead: AtomicBool,
    deaf: AtomicBool,
}

impl Life {
    fn new(number: Owner, service: ServiceName, session: MemoryStore, spot: Option<Spot>) -> Self {
        let label = match &spot {
            Some(spot) => format!("{service} {number} on {}", spot.node),
            None => format!("{service} {number}"),
        };
        Life {
            number,
            service,
            label,
            session,
            lifecycle: Lifecycle::new(),
            spot,
            entrances: Mutex::default(),
            dead: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        }
    }

    pub(crate) fn entrances(&self) -> MutexGuard<'_, Entrances> {
        self.entrances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// It ends; says whether it had ended before.
    pub(crate) fn die(&self) -> bool {
        self.dead.swap(true, Ordering::Relaxed)
    }

    /// Whether the store's hints do not reach it.
    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed)
    }

    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Relaxed);
    }
}

/// Where others ask a life. What is behind them keeps the life: they go when it ends.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    /// For users, of an app manager.
    pub(crate) door: Option<Door>,
    /// For deployment managers, of a load balancer.
    pub(crate) routes: Option<Arc<dyn Routes>>,
    /// For who drains nodes, of a node manager.
    pub(crate) drains: Option<Arc<dyn Drains>>,
}

/// The lives there are.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) made: Owner,
    /// The one of each service that others reach.
    pub(crate) current: BTreeMap<ServiceName, Arc<Life>>,
    /// Those that were replaced while they lived.
    pub(crate) others: Vec<Arc<Life>>,
    /// Those that wait for their turn, at addresses of their own.
    pub(crate) standbys: BTreeMap<ServiceName, Arc<Life>>,
    /// Those on the machines of a fleet.
    pub(crate) placed: BTreeMap<Owner, Arc<Life>>,
    /// Whether who ends is started again.
    pub(crate) supervised: bool,
}

impl Lives {
    pub(crate) fn begin(&mut self, service: ServiceName, session: MemoryStore) -> Arc<Life> {
        self.made += 1;
        Arc::new(Life::new(self.made, service, session, None))
    }

    pub(crate) fn begin_at(
        &mut self,
        service: ServiceName,
        session: MemoryStore,
        spot: &Spot,
    ) -> Arc<Life> {
        self.made += 1;
        let life = Arc::new(Life::new(self.made, service, session, Some(spot.clone())));
        self.placed.insert(self.made, Arc::clone(&life));
        life
    }
}
