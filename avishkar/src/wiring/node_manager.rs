//! The node manager on Kafka, `ZooKeeper` and the nodes' agents.

use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use chassis::config::Problem;
use chassis::service::Service as Running;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::service::ServiceName;
use node_manager::config::{Raw, RawNode, RawNodeManager};
use node_manager::{Config, Ports, Service};
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, bus, nodes, store, take};

/// `config/node-manager.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    node: Vec<RawNode>,
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    node_manager: RawNodeManager,
}

pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::NodeManager;
    const DEFAULTS: &'static str = include_str!("../../../config/node-manager.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let mut problems = Vec::new();
        let http = take(self.http.resolve(), &mut problems);
        let kafka = take(self.kafka.resolve(Self::SERVICE), &mut problems);
        let zookeeper = take(self.zookeeper.resolve(), &mut problems);
        let own = Raw { node_manager: self.node_manager, node: self.node };
        let config = http.as_ref().and_then(|http| take(own.resolve(http), &mut problems));
        match (http, kafka, zookeeper, config) {
            (Some(http), Some(kafka), Some(zookeeper), Some(config)) if problems.is_empty() => {
                Ok((Frame { http, telemetry: self.telemetry }, Meant { kafka, zookeeper, config }))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Running>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let ports = Ports {
            bus: bus::connect(&meant.kafka)?,
            store: store::connect(&meant.zookeeper)?,
            nodes: nodes::connect(&identity)?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        Ok(Arc::new(Service::new(ports, meant.config)))
    }
}
