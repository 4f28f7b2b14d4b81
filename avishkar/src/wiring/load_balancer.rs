//! The load balancer on a bus and a store, NGINX and the nodes' agents.

use std::path::PathBuf;
use std::sync::Arc;

use adapters::edge::{EdgeSettings, NginxEdge};
use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::{http, telemetry};
use common::port::{Bus, Nodes, Store};
use common::service::ServiceName;
use load_balancer::config::{Raw, RawEdge, RawExports, RawScaling};
use load_balancer::{Config, LoadBalancer, Ports};
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, Within, bus, nodes, store, take};

/// `config/load-balancer.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    nginx: RawNginx,
    edge: RawEdge,
    scaling: RawScaling,
    exports: RawExports,
}

/// `[nginx]`: the edge that serves the table, on volumes shared with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNginx {
    /// The folder of `table.json`.
    table_folder: PathBuf,
    /// The folder of `control.sock` and `access.log`.
    run_folder: PathBuf,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    table_folder: PathBuf,
    run_folder: PathBuf,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::LoadBalancer;
    const DEFAULTS: &'static str = include_str!("../../../config/load-balancer.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let mut problems = Vec::new();
        let http = take(self.http.resolve(), &mut problems);
        let kafka = take(self.kafka.resolve(Self::SERVICE), &mut problems);
        let zookeeper = take(self.zookeeper.resolve(), &mut problems);
        let own = Raw { edge: self.edge, scaling: self.scaling, exports: self.exports };
        let config = http.as_ref().and_then(|http| take(own.resolve(http), &mut problems));
        match (http, kafka, zookeeper, config) {
            (Some(http), Some(kafka), Some(zookeeper), Some(config)) if problems.is_empty() => {
                let RawNginx { table_folder, run_folder } = self.nginx;
                let meant = Meant { kafka, zookeeper, table_folder, run_folder, config };
                Ok((Frame { http, telemetry: self.telemetry }, meant))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        Ok(Arc::new(meant.make(store, bus, nodes::connect(&identity)?)))
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(&self, within: &Within, nodes: Arc<dyn Nodes>) -> LoadBalancer {
        self.clone().make(within.session(), within.bus(), nodes)
    }

    /// The folders that the edge must share: of its table, and of its socket and log.
    pub(crate) fn edge_folders(&self) -> (PathBuf, PathBuf) {
        (self.table_folder.clone(), self.run_folder.clone())
    }

    fn make(self, store: Arc<dyn Store>, bus: Arc<dyn Bus>, nodes: Arc<dyn Nodes>) -> LoadBalancer {
        let edge = EdgeSettings::new(self.table_folder, self.run_folder);
        let edge = Arc::new(NginxEdge::new(edge));
        let ports = Ports { bus, store, edge, nodes, clock: Arc::new(SystemClock) };
        LoadBalancer::new(ports, self.config)
    }
}
