//! The real agent over mutual TLS, and clients of it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapters::{AgentClient, HttpProbes};
use async_trait::async_trait;
use chassis::http;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service;
use chassis::system::SystemClock;
use chassis::tls::{Identity, install_cryptography};
use common::port::blobs::Shelf;
use common::port::nodes::Agent;
use common::port::{Cause, Containers, PartContainers, Shares};
use common::service::ServiceName;
use node_agent::ports::{Alone, Firewall, Rules};
use node_agent::{Config, NodeAgent, Ports};
use testkit::{
    MemoryBlobs, MemoryContainers, MemoryPartContainers, MemoryRegistry, MemoryShares, pki,
};

#[derive(Debug)]
pub(crate) struct NoFirewall;

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
    /// Who looks with the certificate of this service.
    pub(crate) fn probes_of(&self, service: ServiceName) -> HttpProbes {
        let identity = Identity::load(self.pki.path(), service).unwrap();
        HttpProbes::with_certificates(&identity.ca, &identity.client_pem()).unwrap()
    }

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
        relay: None,
        machines_socket: "/nowhere".into(),
        restart_after: Duration::from_mins(1),
        restart_ill_after: Duration::from_mins(1),
        shares_folder: "/nowhere".into(),
        shares_root: "/".into(),
        blob_bytes: 8 << 20,
        keep_unused: Duration::from_hours(1),
        build_context_bytes: 1024,
        firewall: Some(Rules::default()),
        cgroup_folder: "/sys/fs/cgroup".into(),
        proc_folder: "/proc".into(),
        disk: data.to_owned(),
        clean_above_percent: 100.0,
        clean_until_percent: 100.0,
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
    let parts = Arc::new(no_parts());
    let (blobs, clock) = (Arc::new(MemoryBlobs::new()), Arc::new(SystemClock));
    let shares = Arc::new(MemoryShares::default());
    let neighbours = Arc::new(Alone);
    let ports = Ports { containers, parts, shares, blobs, firewall, neighbours, clock };
    while_serving_all(ports, ask).await;
}

/// Serves an agent of this engine for parts while `ask` asks it.
pub(crate) async fn while_serving_parts(
    parts: Arc<dyn PartContainers>,
    ask: impl AsyncFnOnce(&Served),
) {
    while_serving_code(parts, Arc::new(MemoryShares::default()), ask).await;
}

/// The same with shares that parts are built from.
pub(crate) async fn while_serving_code(
    parts: Arc<dyn PartContainers>,
    shares: Arc<dyn Shares>,
    ask: impl AsyncFnOnce(&Served),
) {
    let clock = Arc::new(SystemClock);
    let containers =
        Arc::new(MemoryContainers::new(Arc::clone(&clock) as _, MemoryRegistry::default()));
    let firewall = Arc::new(NoFirewall);
    let blobs = Arc::new(MemoryBlobs::new());
    let neighbours = Arc::new(Alone);
    let ports = Ports { containers, parts, shares, blobs, firewall, neighbours, clock };
    while_serving_all(ports, ask).await;
}

/// Serves an agent that keeps these blobs while `ask` asks it.
pub(crate) async fn while_serving_shelf(blobs: Arc<dyn Shelf>, ask: impl AsyncFnOnce(&Served)) {
    let clock = Arc::new(SystemClock);
    let containers = MemoryContainers::new(Arc::clone(&clock) as _, MemoryRegistry::default());
    let (containers, parts) = (Arc::new(containers), Arc::new(no_parts()));
    let (shares, firewall) = (Arc::new(MemoryShares::default()), Arc::new(NoFirewall));
    let neighbours = Arc::new(Alone);
    let ports = Ports { containers, parts, shares, blobs, firewall, neighbours, clock };
    while_serving_all(ports, ask).await;
}

fn no_parts() -> MemoryPartContainers {
    MemoryPartContainers::new(Arc::new(SystemClock), MemoryRegistry::default())
}

fn services() -> tempfile::TempDir {
    install_cryptography();
    pki::folder(&[
        ServiceName::NodeAgent,
        ServiceName::DeploymentManager,
        ServiceName::LoadBalancer,
        ServiceName::LifecycleManager,
        ServiceName::Monitoring,
        ServiceName::NodeManager,
    ])
}

/// An agent that is bound, and not served yet.
struct Unserved {
    agent: Agent,
    service: Arc<dyn Service>,
    bound: http::Listeners,
    lifecycle: Lifecycle,
    _data: tempfile::TempDir,
}

impl Unserved {
    fn new(name: &str, ports: Ports, pki: &Path) -> Self {
        let data = tempfile::tempdir().unwrap();
        let node = NodeAgent::open(ports, config(data.path())).unwrap();
        let service: Arc<dyn Service> = Arc::new(node);
        let listeners = http::Config {
            address: None,
            internal_address: Some((Ipv4Addr::LOCALHOST, 0).into()),
            advertised: String::new(),
            pki: pki.to_owned(),
            workers: 1,
            cors_origins: Vec::new(),
            document_001_gets: false,
        };
        let lifecycle = Lifecycle::new();
        let bound = http::bind(&listeners, &service, &lifecycle, None).unwrap();
        let agent = Agent { node: name.parse().unwrap(), address: bound.internal.unwrap() };
        Unserved { agent, service, bound, lifecycle, _data: data }
    }

    async fn serve(self) {
        let Unserved { service, bound, lifecycle, .. } = self;
        let (answered, ran) =
            futures::join!(bound.serve(&lifecycle), service.run(lifecycle.clone()));
        answered.unwrap();
        ran.unwrap();
    }
}

async fn while_serving_all(ports: Ports, ask: impl AsyncFnOnce(&Served)) {
    let pki = services();
    let unserved = Unserved::new("node-1", ports, pki.path());
    let (agent, lifecycle) = (unserved.agent.clone(), unserved.lifecycle.clone());
    let served = Served { client: client(pki.path(), ServiceName::DeploymentManager), agent, pki };
    let asking = async {
        ask(&served).await;
        lifecycle.stop();
    };
    futures::join!(unserved.serve(), asking);
}

/// An agent that serves until it is stopped.
pub(crate) struct Node {
    pub(crate) agent: Agent,
    lifecycle: Lifecycle,
}

impl Node {
    pub(crate) fn stop(&self) {
        self.lifecycle.stop();
    }
}

/// Serves a node over each of these while `ask` asks them.
pub(crate) async fn while_serving_blobs(
    blobs: Vec<Arc<dyn Shelf>>,
    ask: impl AsyncFnOnce(AgentClient, &[Node]),
) {
    let pki = services();
    let unserved = |(number, blobs): (usize, Arc<dyn Shelf>)| {
        let clock = Arc::new(SystemClock);
        let containers = MemoryContainers::new(Arc::clone(&clock) as _, MemoryRegistry::default());
        let (containers, parts) = (Arc::new(containers), Arc::new(no_parts()));
        let (shares, firewall) = (Arc::new(MemoryShares::default()), Arc::new(NoFirewall));
        let neighbours = Arc::new(Alone);
        let ports = Ports { containers, parts, shares, blobs, firewall, neighbours, clock };
        Unserved::new(&format!("node-{}", number + 1), ports, pki.path())
    };
    let unserved: Vec<Unserved> = blobs.into_iter().enumerate().map(unserved).collect();
    let node = |one: &Unserved| Node { agent: one.agent.clone(), lifecycle: one.lifecycle.clone() };
    let nodes: Vec<Node> = unserved.iter().map(node).collect();
    let asking = async {
        ask(client(pki.path(), ServiceName::DeploymentManager), &nodes).await;
        nodes.iter().for_each(Node::stop);
    };
    let serving = futures::future::join_all(unserved.into_iter().map(Unserved::serve));
    futures::join!(serving, asking);
}
