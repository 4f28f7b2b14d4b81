//! The deployment manager on a bus and a store, bundles as files or on nodes, the nodes' agents and the load balancer.

use std::path::PathBuf;
use std::sync::Arc;

use adapters::RoutesClient;
use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use anyhow::Context as _;
use app_manager::config::BundleKeeper;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::{http, telemetry};
use common::port::{Nodes, Routes};
use common::service::ServiceName;
use deployment_manager::config::{Raw, RawBuild, RawDeployment};
use deployment_manager::{Config, DeploymentManager, Ports};
use serde::{Deserialize, Serialize};

use super::sections::{Resolved, Sections};
use super::{Frame, Wiring, Within, blobs, bus, nodes, store};

/// `config/deployment-manager.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    storage: RawStorage,
    deployment: RawDeployment,
    build: RawBuild,
}

/// `[storage]`: where the app manager keeps bundles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    kind: BundleKeeper,
    blobs_folder: PathBuf,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    storage: RawStorage,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::DeploymentManager;
    const DEFAULTS: &'static str = include_str!("../../../config/deployment-manager.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let own = Raw { deployment: self.deployment, build: self.build };
        let File { http, telemetry, kafka, zookeeper, .. } = self;
        let sections = Sections { http, telemetry, kafka, zookeeper };
        let resolved = sections.resolve(Self::SERVICE, Vec::new(), |http| own.resolve(http))?;
        let Resolved { frame, kafka, zookeeper, own: config } = resolved;
        let meant = Meant { kafka, zookeeper, storage: self.storage, config };
        Ok((frame, meant))
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        let routes = RoutesClient::new(Arc::clone(&store), &identity.ca, &identity.client_pem());
        let routes = Arc::new(routes.context("the load balancer cannot be asked")?);
        let RawStorage { kind, blobs_folder } = &meant.storage;
        let blobs = blobs::connect(*kind, blobs_folder, &identity, &store)?;
        let nodes = nodes::connect(&identity)?;
        let ports = Ports { bus, store, blobs, nodes, routes, clock: Arc::new(SystemClock) };
        Ok(Arc::new(DeploymentManager::new(ports, meant.config)))
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(
        &self,
        within: &Within,
        nodes: Arc<dyn Nodes>,
        routes: Arc<dyn Routes>,
    ) -> anyhow::Result<Arc<dyn Service>> {
        let blobs = blobs::open(&self.storage.blobs_folder)?;
        let (store, bus) = (within.session(), within.bus());
        let ports = Ports { bus, store, blobs, nodes, routes, clock: Arc::new(SystemClock) };
        Ok(Arc::new(DeploymentManager::new(ports, self.config.clone())))
    }
}
