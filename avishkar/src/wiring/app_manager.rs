//! The app manager on a bus and a store, bundles as files or on nodes, and the nodes' agents.

use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use adapters::{DrainsClient, LifecycleClient, RoutesClient};
use anyhow::Context as _;
use app_manager::config::{Raw, RawApps, RawAuth, RawSchedules, RawStorage, RawUploads};
use app_manager::{Config, Ports, Service as AppManager};
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::port::{Blobs, Nodes};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::sections::{Resolved, Sections};
use super::{Frame, Neighbours, Wiring, Within, blobs, bus, nodes, store};

/// `config/app-manager.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    auth: RawAuth,
    storage: RawStorage,
    uploads: RawUploads,
    apps: RawApps,
    schedules: RawSchedules,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::AppManager;
    const DEFAULTS: &'static str = include_str!("../../../config/app-manager.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let own = Raw {
            auth: self.auth,
            storage: self.storage,
            uploads: self.uploads,
            apps: self.apps,
            schedules: self.schedules,
        };
        let File { http, telemetry, kafka, zookeeper, .. } = self;
        let sections = Sections { http, telemetry, kafka, zookeeper };
        let resolved = sections.resolve(Self::SERVICE, Vec::new(), |http| own.resolve(http))?;
        let Resolved { frame, kafka, zookeeper, own: config } = resolved;
        Ok((frame, Meant { kafka, zookeeper, config }))
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        let folder = meant.config.blobs_folder();
        let blobs = blobs::connect(meant.config.bundles, &folder, &identity, &store)?;
        let balancer = RoutesClient::new(Arc::clone(&store), &identity.ca, &identity.client_pem());
        let balancer = Arc::new(balancer.context("the load balancer cannot be asked")?);
        let keeper = LifecycleClient::new(Arc::clone(&store), &identity.ca, &identity.client_pem());
        let certificates = Arc::clone(&balancer);
        let upkeep = Arc::new(keeper.context("the lifecycle manager cannot be asked")?);
        let drains = DrainsClient::new(Arc::clone(&store), &identity.ca, &identity.client_pem());
        let drains = Arc::new(drains.context("the node manager cannot be asked")?);
        let nodes = nodes::connect(&identity)?;
        meant.make(Ports {
            store,
            bus,
            blobs,
            nodes,
            certificates,
            routes: balancer,
            upkeep,
            drains,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
    }
}

impl Meant {
    /// The service in the process that `within` describes, beside these others.
    pub(crate) fn place(
        &self,
        within: &Within,
        nodes: Arc<dyn Nodes>,
        neighbours: &Neighbours,
    ) -> anyhow::Result<Arc<dyn Service>> {
        let blobs: Arc<dyn Blobs> = blobs::open(&self.config.blobs_folder())?;
        self.clone().make(Ports {
            store: within.session(),
            bus: within.bus(),
            blobs,
            nodes,
            certificates: Arc::new(neighbours.certificates.clone()),
            routes: Arc::new(neighbours.routes.clone()),
            upkeep: Arc::new(neighbours.upkeep.clone()),
            drains: Arc::new(neighbours.drains.clone()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
    }

    fn make(self, ports: Ports) -> anyhow::Result<Arc<dyn Service>> {
        Ok(Arc::new(AppManager::new(ports, self.config)?))
    }
}
