//! The deployment manager on a bus and a store, bundles as files, the nodes' agents and the load balancer.

use std::path::PathBuf;
use std::sync::Arc;

use adapters::RoutesClient;
use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use anyhow::Context as _;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::{http, telemetry};
use common::port::{Bus, Nodes, Routes, Store};
use common::service::ServiceName;
use deployment_manager::config::{Raw, RawBuild, RawDeployment};
use deployment_manager::{Config, DeploymentManager, Ports};
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, Within, blobs, bus, nodes, store, take};

/// `config/deployment-manager.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    storage: RawStorage,
    load_balancer: RawLoadBalancer,
    deployment: RawDeployment,
    build: RawBuild,
}

/// `[storage]`: where the app manager keeps bundles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    blobs_folder: PathBuf,
}

/// `[load_balancer]`: where routes are asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLoadBalancer {
    /// `https://<name in its certificate>:<port>`.
    url: String,
}

pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    blobs_folder: PathBuf,
    load_balancer: String,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::DeploymentManager;
    const DEFAULTS: &'static str = include_str!("../../../config/deployment-manager.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let mut problems = Vec::new();
        let http = take(self.http.resolve(), &mut problems);
        let kafka = take(self.kafka.resolve(Self::SERVICE), &mut problems);
        let zookeeper = take(self.zookeeper.resolve(), &mut problems);
        let own = Raw { deployment: self.deployment, build: self.build };
        let config = http.as_ref().and_then(|http| take(own.resolve(http), &mut problems));
        if !self.load_balancer.url.starts_with("https://") {
            problems.push(Problem::new("load_balancer.url", "must begin with https://"));
        }
        match (http, kafka, zookeeper, config) {
            (Some(http), Some(kafka), Some(zookeeper), Some(config)) if problems.is_empty() => {
                let (blobs_folder, load_balancer) =
                    (self.storage.blobs_folder, self.load_balancer.url);
                let meant = Meant { kafka, zookeeper, blobs_folder, load_balancer, config };
                Ok((Frame { http, telemetry: self.telemetry }, meant))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let routes = RoutesClient::new(&meant.load_balancer, &identity.ca, &identity.client_pem());
        let routes = Arc::new(routes.context("the load balancer's address cannot be used")?);
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        meant.make(store, bus, nodes::connect(&identity)?, routes)
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(
        self,
        within: &Within,
        nodes: Arc<dyn Nodes>,
        routes: Arc<dyn Routes>,
    ) -> anyhow::Result<Arc<dyn Service>> {
        self.make(within.session(), within.bus(), nodes, routes)
    }

    fn make(
        self,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        nodes: Arc<dyn Nodes>,
        routes: Arc<dyn Routes>,
    ) -> anyhow::Result<Arc<dyn Service>> {
        let blobs = blobs::open(&self.blobs_folder)?;
        let ports = Ports { bus, store, blobs, nodes, routes, clock: Arc::new(SystemClock) };
        Ok(Arc::new(DeploymentManager::new(ports, self.config)))
    }
}
