//! The real agent over mutual TLS, and clients of it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use adapters::AgentClient;
use async_trait::async_trait;
use chassis::http;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::tls::{Identity, install_cryptography};
use common::port::nodes::Agent;
use common::port::{Cause, Containers};
use common::service::ServiceName;
use node_agent::ports::{Firewall, Rules};
use node_agent::{Config, NodeAgent, Ports};
use testkit::pki;

#[derive(Debug)]
struct NoFirewall;

#[async_trait]
impl Firewall for NoFirewall {
    async fn apply(&self, _: &Rules) -> Result<(), Cause> {
        Ok(())
    }
}

/// An agent that serves.
pub(crate) struct Served {
    pub(crate) client: AgentClient,
    pub(crate) agent: Agent,
    pki: tempfile::TempDir,
}

impl Served {
    pub(crate) fn client_of(&self, service: ServiceName) -> AgentClient {
        client(self.pki.path(), service)
    }
}

pub(crate) fn client(pki: &Path, service: ServiceName) -> AgentClient {
    let identity = Identity::load(pki, service).unwrap();
    AgentClient::new(&identity.ca, &identity.client_pem()).unwrap()
}

fn config(data: &Path) -> Config {
    Config {
        node: "node-1".parse().unwrap(),
        ip: Ipv4Addr::LOCALHOST.into(),
        data_folder: data.to_owned(),
        socket: "/var/run/docker.sock".into(),
        subnets: String::new(),
        build_env_folder: "/nowhere".into(),
        registry: None,
        build_context_bytes: 1024,
        firewall: Some(Rules::default()),
        cgroup_folder: "/sys/fs/cgroup".into(),
        proc_folder: "/proc".into(),
        disk: data.to_owned(),
        clean_above_percent: 100.0,
        keep_newest: 1,
    }
}

/// Serves an agent of this engine while `ask` asks it.
pub(crate) async fn while_serving(containers: Arc<dyn Containers>, ask: impl AsyncFnOnce(&Served)) {
    while_serving_behind(Arc::new(NoFirewall), containers, ask).await;
}

pub(crate) async fn while_serving_behind(
    firewall: Arc<dyn Firewall>,
    containers: Arc<dyn Containers>,
    ask: impl AsyncFnOnce(&Served),
) {
    install_cryptography();
    let pki = pki::folder(&[
        ServiceName::NodeAgent,
        ServiceName::DeploymentManager,
        ServiceName::LoadBalancer,
    ]);
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock);
    let ports = Ports { containers, firewall, clock };
    let service: Arc<dyn Service> = Arc::new(NodeAgent::open(ports, config(data.path())).unwrap());
    let listeners = http::Config {
        address: None,
        internal_address: Some((Ipv4Addr::LOCALHOST, 0).into()),
        advertised: String::new(),
        pki: pki.path().to_owned(),
        workers: 1,
        cors_origins: Vec::new(),
        document_001_gets: false,
    };
    let lifecycle = Lifecycle::new();
    let bound = http::bind(&listeners, &service, &lifecycle, None).unwrap();
    let agent = Agent { node: "node-1".parse().unwrap(), address: bound.internal.unwrap() };
    let client = client(pki.path(), ServiceName::DeploymentManager);
    let served = Served { client, agent, pki };
    let asking = async {
        ask(&served).await;
        lifecycle.stop();
    };
    let (answered, ran, ()) =
        futures::join!(bound.serve(&lifecycle), service.run(lifecycle.clone()), asking);
    answered.unwrap();
    ran.unwrap();
}
