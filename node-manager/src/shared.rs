//! What the parts of the node manager share: ports, settings, the leadership, what was heard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::leading::Seat;
use chassis::reconcile::Wake;
use chassis::records::Stored;
use common::id::RequestId;
use common::name::NodeName;
use common::record::node::Alive;
use common::service::ServiceName;
use tokio::sync::Mutex as AsyncMutex;

use crate::config::Config;
use crate::disks::Disks;
use crate::domain::liveness::Thresholds;
use crate::domain::load::Alert;
use crate::drains::Drains;
use crate::heartbeats::Heartbeats;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::ports::Ports;
use crate::sample_log::SampleLog;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) seat: Seat,
    pub(crate) metrics: Metrics,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) sample_log: SampleLog,
    pub(crate) disks: Disks,
    pub(crate) drains: Drains,
    pub(crate) placement_wake: Wake<RequestId>,
    pub(crate) verdict_wake: Wake<NodeName>,
    pub(crate) lease_wake: Wake<NodeName>,
    /// Held from looking for a node until its port is leased: requests at once would choose alike.
    pub(crate) allocation: AsyncMutex<()>,
    /// The verdicts as they stand in the store; nobody else writes them.
    verdicts: Mutex<BTreeMap<NodeName, Stored<Alive>>>,
    alerts: Mutex<BTreeMap<NodeName, Alert>>,
    members: Members,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let thresholds = Thresholds {
            suspect_after: config.suspect_after,
            dead_after: config.dead_after,
            hold_down: config.hold_down,
        };
        let sample_log = SampleLog::new(config.data_folder.clone(), config.keep_samples_days);
        let members = Members::new(&config.nodes);
        let (store, advertised) = (Arc::clone(&ports.store), config.advertised.clone());
        Arc::new(Shared {
            seat: Seat::new(ServiceName::NodeManager, store, advertised),
            ports,
            config,
            metrics: Metrics::new(),
            heartbeats: Heartbeats::new(thresholds),
            sample_log,
            disks: Disks::default(),
            drains: Drains::default(),
            placement_wake: Wake::new(),
            verdict_wake: Wake::new(),
            lease_wake: Wake::new(),
            allocation: AsyncMutex::new(()),
            verdicts: Mutex::default(),
            alerts: Mutex::default(),
            members,
        })
    }

    pub(crate) fn verdicts(&self) -> MutexGuard<'_, BTreeMap<NodeName, Stored<Alive>>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn verdict(&self, node: &NodeName) -> Option<Stored<Alive>> {
        self.verdicts().get(node).cloned()
    }

    /// The nodes that there are.
    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// The nodes that are alerted about.
    pub(crate) fn alerts(&self) -> MutexGuard<'_, BTreeMap<NodeName, Alert>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
