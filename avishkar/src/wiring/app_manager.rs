//! The app manager on a bus and a store, bundles as files or on nodes, and the nodes' agents.

use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use app_manager::config::{Raw, RawApps, RawAuth, RawSchedules, RawStorage, RawUploads};
use app_manager::{Config, Ports, Service as AppManager};
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::port::{Blobs, Bus, Nodes, Store};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, Within, blobs, bus, nodes, store, take};

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
        let mut problems = Vec::new();
        let http = take(self.http.resolve(), &mut problems);
        let kafka = take(self.kafka.resolve(Self::SERVICE), &mut problems);
        let zookeeper = take(self.zookeeper.resolve(), &mut problems);
        let own = Raw {
            auth: self.auth,
            storage: self.storage,
            uploads: self.uploads,
            apps: self.apps,
            schedules: self.schedules,
        };
        let config = http.as_ref().and_then(|http| take(own.resolve(http), &mut problems));
        match (http, kafka, zookeeper, config) {
            (Some(http), Some(kafka), Some(zookeeper), Some(config)) if problems.is_empty() => {
                Ok((Frame { http, telemetry: self.telemetry }, Meant { kafka, zookeeper, config }))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        let folder = meant.config.blobs_folder();
        let blobs = blobs::connect(meant.config.bundles, &folder, &identity, &store)?;
        meant.make(store, bus, blobs, nodes::connect(&identity)?)
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(
        &self,
        within: &Within,
        nodes: Arc<dyn Nodes>,
    ) -> anyhow::Result<Arc<dyn Service>> {
        let blobs = blobs::open(&self.config.blobs_folder())?;
        self.clone().make(within.session(), within.bus(), blobs, nodes)
    }

    fn make(
        self,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        blobs: Arc<dyn Blobs>,
        nodes: Arc<dyn Nodes>,
    ) -> anyhow::Result<Arc<dyn Service>> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let ports = Ports { store, bus, blobs, nodes, clock, entropy };
        Ok(Arc::new(AppManager::new(ports, self.config)?))
    }
}
