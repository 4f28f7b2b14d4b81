//! The node manager on a bus, a store and the nodes' agents.

use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use chassis::config::Problem;
use chassis::service::Service as Running;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::port::{Bus, Nodes, Store};
use common::service::ServiceName;
use node_manager::config::{Raw, RawNode, RawNodeManager};
use node_manager::{Config, Ports, Service};
use serde::{Deserialize, Serialize};

use super::sections::{Resolved, Sections};
use super::{Frame, Wiring, Within, bus, nodes, store};

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

#[derive(Clone)]
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
        let own = Raw { node_manager: self.node_manager, node: self.node };
        let File { http, telemetry, kafka, zookeeper, .. } = self;
        let sections = Sections { http, telemetry, kafka, zookeeper };
        let resolved = sections.resolve(Self::SERVICE, Vec::new(), |http| own.resolve(http))?;
        let Resolved { frame, kafka, zookeeper, own: config } = resolved;
        Ok((frame, Meant { kafka, zookeeper, config }))
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Running>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        Ok(Arc::new(meant.make(store, bus, nodes::connect(&identity)?)))
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(&self, within: &Within, nodes: Arc<dyn Nodes>) -> Service {
        self.clone().make(within.session(), within.bus(), nodes)
    }

    fn make(self, store: Arc<dyn Store>, bus: Arc<dyn Bus>, nodes: Arc<dyn Nodes>) -> Service {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        Service::new(Ports { bus, store, nodes, clock, entropy }, self.config)
    }
}
