//! The load balancer on Kafka, `ZooKeeper`, NGINX and the nodes' agents.

use std::sync::Arc;

use adapters::edge::{EdgeSettings, NginxEdge};
use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::{http, telemetry};
use common::service::ServiceName;
use load_balancer::config::{Raw, RawEdge, RawExports, RawScaling};
use load_balancer::{Config, LoadBalancer, Ports};
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, bus, nodes, store, take};

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
    table_folder: String,
    /// The folder of `control.sock` and `access.log`.
    run_folder: String,
}

pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    edge: EdgeSettings,
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
                let edge = EdgeSettings::new(self.nginx.table_folder, self.nginx.run_folder);
                Ok((
                    Frame { http, telemetry: self.telemetry },
                    Meant { kafka, zookeeper, edge, config },
                ))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let ports = Ports {
            bus: bus::connect(&meant.kafka)?,
            store: store::connect(&meant.zookeeper)?,
            edge: Arc::new(NginxEdge::new(meant.edge)),
            nodes: nodes::connect(&identity)?,
            clock: Arc::new(SystemClock),
        };
        Ok(Arc::new(LoadBalancer::new(ports, meant.config)))
    }
}
