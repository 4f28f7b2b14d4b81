//! The load balancer on a bus and a store, NGINX and the nodes' agents.

mod edge;

use std::path::PathBuf;
use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::{http, telemetry};
use common::port::{Bus, Nodes, Store};
use common::service::ServiceName;
use load_balancer::config::{Raw, RawCertificates, RawEdge, RawExports, RawScaling};
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
    nginx: edge::RawNginx,
    nginx_files: edge::RawFiles,
    edge: RawEdge,
    scaling: RawScaling,
    exports: RawExports,
    certificates: RawCertificates,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    edge: edge::Meant,
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
        let edge = edge::resolve(self.nginx, self.nginx_files, &self.edge);
        let edge = take(edge, &mut problems);
        let own = Raw {
            edge: self.edge,
            scaling: self.scaling,
            exports: self.exports,
            certificates: self.certificates,
        };
        let config = http.as_ref().and_then(|http| take(own.resolve(http), &mut problems));
        match (http, kafka, zookeeper, edge, config) {
            (Some(http), Some(kafka), Some(zookeeper), Some(edge), Some(config))
                if problems.is_empty() =>
            {
                let meant = Meant { kafka, zookeeper, edge, config };
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
        (self.edge.table_folder.clone(), self.edge.run_folder.clone())
    }

    fn make(self, store: Arc<dyn Store>, bus: Arc<dyn Bus>, nodes: Arc<dyn Nodes>) -> LoadBalancer {
        let (edge, certificates) = edge::connect(self.edge);
        let clock = Arc::new(SystemClock);
        let ports = Ports { bus, store, edge, certificates, nodes, clock };
        LoadBalancer::new(ports, self.config)
    }
}
