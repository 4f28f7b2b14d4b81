//! What the parts of this service share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chassis::leading::{HeldNodes, Seat};
use chassis::reconcile::Wake;
use common::id::RequestId;
use common::name::{LegacyName, NodeName};
use common::service::ServiceName;
use tokio::sync::Semaphore;

use crate::apply::Watched;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::ports::Ports;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) seat: Seat,
    pub(crate) metrics: Metrics,
    pub(crate) fleet: Fleet,
    pub(crate) deployments: Wake<LegacyName>,
    pub(crate) nodes: Wake<NodeName>,
    /// The last request for a machine.
    pub(crate) needed: Mutex<Option<RequestId>>,
    /// What was seen of the containers of a release that is watched, by the placement of their replicas.
    pub(crate) watched: Mutex<BTreeMap<RequestId, Watched>>,
    /// Held while an image is built.
    pub(crate) building: Semaphore,
    /// Nodes that were led from another store: nothing is started or removed there.
    pub(crate) held: HeldNodes,
}

impl Shared {
    pub(crate) fn new(ports: Ports, config: Config) -> Arc<Self> {
        let building = Semaphore::new(config.builds_at_once);
        let (store, advertised) = (Arc::clone(&ports.store), config.advertised.clone());
        Arc::new(Shared {
            needed: Mutex::default(),
            watched: Mutex::default(),
            building,
            seat: Seat::new(ServiceName::DeploymentManager, store, advertised),
            ports,
            config,
            metrics: Metrics::new(),
            fleet: Fleet::default(),
            deployments: Wake::new(),
            nodes: Wake::new(),
            held: HeldNodes::default(),
        })
    }
}
