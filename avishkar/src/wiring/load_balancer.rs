//! The load balancer on a bus and a store, NGINX and the nodes' agents.

mod acme;
mod edge;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use adapters::acme::AcmeAuthority;
use adapters::kafka::KafkaSettings;
use adapters::routes::OtherEdgeClient;
use adapters::zookeeper::ZooKeeperSettings;
use anyhow::Context as _;
use chassis::config::Problem;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::tls::Identity;
use chassis::{http, telemetry};
use common::port::{Bus, Nodes, OtherEdge, PublicAuthority, Store};
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
    acme: acme::RawAcme,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    edge: edge::Meant,
    authority: Option<AcmeAuthority>,
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
        let authority = take(acme::resolve(self.acme), &mut problems).flatten();
        if authority.is_some() && edge.as_ref().is_some_and(|edge| !edge.shows_certificates()) {
            let why = "must be empty with a stock nginx, which shows no certificates";
            problems.push(Problem::new("acme.directory", why));
        }
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
                let meant = Meant { kafka, zookeeper, edge, authority, config };
                Ok((Frame { http, telemetry: self.telemetry }, meant))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Service>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        let other = match meant.config.other {
            Some(address) => Some(other_edge(address, &identity)?),
            None => None,
        };
        Ok(Arc::new(meant.make(store, bus, nodes::connect(&identity)?, other)))
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(&self, within: &Within, nodes: Arc<dyn Nodes>) -> LoadBalancer {
        self.clone().make(within.session(), within.bus(), nodes, None)
    }

    /// The folders that the edge must share: of its table, and of its socket and log.
    pub(crate) fn edge_folders(&self) -> (PathBuf, PathBuf) {
        (self.edge.table_folder.clone(), self.edge.run_folder.clone())
    }

    fn make(
        self,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        nodes: Arc<dyn Nodes>,
        other: Option<Arc<dyn OtherEdge>>,
    ) -> LoadBalancer {
        let (edge, certificates) = edge::connect(self.edge);
        let clock = Arc::new(SystemClock);
        let authority = self.authority.map(|one| Arc::new(one) as Arc<dyn PublicAuthority>);
        let ports = Ports { bus, store, edge, certificates, other, authority, nodes, clock };
        LoadBalancer::new(ports, self.config)
    }
}

fn other_edge(address: SocketAddr, identity: &Identity) -> anyhow::Result<Arc<dyn OtherEdge>> {
    let client = OtherEdgeClient::new(address, &identity.ca, &identity.client_pem());
    Ok(Arc::new(client.context("the certificate cannot be used")?))
}
