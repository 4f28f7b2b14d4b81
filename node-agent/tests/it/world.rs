//! An agent that serves, and services that call it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chassis::http;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service;
use chassis::tls::{Identity, install_cryptography};
use common::digest::{Digest, ImageRef};
use common::id::{Epoch, Generation, SlotNumber};
use common::port::Cause;
use common::port::container::{ContainerSpec, Limits};
use common::port::nodes::Issuer;
use common::service::ServiceName;
use node_agent::ports::{Alone, Firewall, Rules};
use node_agent::{Config, NodeAgent, Ports};
use reqwest::{Certificate, Client, Method};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use testkit::{
    ManualClock, MemoryBlobs, MemoryContainers, MemoryPartContainers, MemoryRegistry, MemoryShares,
    pki,
};

#[derive(Debug)]
struct NoFirewall;

#[async_trait]
impl Firewall for NoFirewall {
    async fn apply(&self, _: &Rules) -> Result<(), Cause> {
        Ok(())
    }
}

pub(crate) const BUILD_BYTES: usize = 4096;
pub(crate) const BLOB_BYTES: usize = 64 * 1024;

/// A machine with an agent.
pub(crate) struct World {
    pub(crate) engine: MemoryContainers,
    pub(crate) parts: MemoryPartContainers,
    pub(crate) shares: MemoryShares,
    pub(crate) image: ImageRef,
    base: String,
    pki: TempDir,
    uploads: PathBuf,
}

/// What an agent answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Serves an agent on a fresh machine while `test` lasts.
pub(crate) async fn with_agent(test: impl AsyncFnOnce(&World)) {
    install_cryptography();
    let pki = pki::folder(&ServiceName::ALL);
    let data = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::ticking());
    let registry = MemoryRegistry::default();
    let image = ImageRef::new("example.org/shop", Digest::of(b"shop")).unwrap();
    registry.offer(&image);
    let engine = MemoryContainers::new(Arc::clone(&clock) as _, registry);
    let parts = MemoryPartContainers::new(Arc::clone(&clock) as _, MemoryRegistry::default());
    let shares = MemoryShares::default();
    let ports = Ports {
        containers: Arc::new(engine.clone()),
        parts: Arc::new(parts.clone()),
        blobs: Arc::new(MemoryBlobs::new()),
        shares: Arc::new(shares.clone()),
        firewall: Arc::new(NoFirewall),
        neighbours: Arc::new(Alone),
        clock,
    };
    let service: Arc<dyn Service> = Arc::new(NodeAgent::open(ports, config(&data)).unwrap());
    let lifecycle = Lifecycle::new();
    let bound = http::bind(&listeners(&pki), &service, &lifecycle, None).unwrap();
    let base = format!("https://{}", bound.internal.unwrap());
    let uploads = data.path().join("uploads");
    let world = World { engine, parts, shares, image, base, pki, uploads };
    let testing = async {
        test(&world).await;
        lifecycle.stop();
    };
    let (served, ran, ()) =
        futures::join!(bound.serve(&lifecycle), service.run(lifecycle.clone()), testing);
    served.unwrap();
    ran.unwrap();
}

fn listeners(pki: &TempDir) -> http::Config {
    http::Config {
        address: None,
        internal_address: Some((Ipv4Addr::LOCALHOST, 0).into()),
        advertised: String::new(),
        pki: pki.path().to_owned(),
        workers: 1,
        cors_origins: Vec::new(),
        document_001_gets: false,
    }
}

fn config(data: &TempDir) -> Config {
    Config {
        node: "node-1".parse().unwrap(),
        ip: Ipv4Addr::LOCALHOST.into(),
        data_folder: data.path().to_owned(),
        socket: data.path().to_owned(),
        subnets: String::new(),
        build_env_folder: "/nowhere".into(),
        registry: None,
        relay: None,
        machines_socket: "/nowhere".into(),
        restart_ill_after: Duration::from_secs(30),
        restart_after: Duration::from_mins(1),
        shares_folder: "/nowhere".into(),
        shares_root: "/".into(),
        blob_bytes: BLOB_BYTES as u64,
        keep_unused: Duration::from_hours(1),
        build_context_bytes: BUILD_BYTES,
        firewall: Some(Rules::default()),
        cgroup_folder: data.path().to_owned(),
        proc_folder: data.path().to_owned(),
        disk: data.path().to_owned(),
        clean_above_percent: 100.0,
        clean_until_percent: 100.0,
        keep_newest: 0,
    }
}

impl World {
    fn client(&self, service: ServiceName) -> Client {
        let identity = Identity::load(self.pki.path(), service).unwrap();
        Client::builder()
            .tls_certs_only([Certificate::from_pem(&identity.ca).unwrap()])
            .identity(reqwest::Identity::from_pem(&identity.client_pem()).unwrap())
            .no_proxy()
            .build()
            .unwrap()
    }

    pub(crate) async fn post(
        &self,
        caller: ServiceName,
        path: &str,
        body: &impl Serialize,
    ) -> Answer {
        let request = self.client(caller).post(format!("{}{path}", self.base)).json(body);
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn upload(&self, caller: ServiceName, path: &str, body: Vec<u8>) -> Answer {
        self.send(caller, Method::POST, path, body).await
    }

    pub(crate) async fn send(
        &self,
        caller: ServiceName,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Answer {
        let request = self.client(caller).request(method, format!("{}{path}", self.base));
        answer(request.body(body).send().await.unwrap()).await
    }

    /// How many files there are of blobs that are being received.
    pub(crate) fn received(&self) -> usize {
        std::fs::read_dir(&self.uploads).unwrap().count()
    }

    pub(crate) async fn get(&self, caller: ServiceName, path: &str) -> Answer {
        answer(self.open(caller, path).await).await
    }

    /// The answer without its body: for streams.
    pub(crate) async fn open(&self, caller: ServiceName, path: &str) -> reqwest::Response {
        self.client(caller).get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    pub(crate) fn spec(&self) -> ContainerSpec {
        ContainerSpec {
            instance: "shop".parse().unwrap(),
            slot: SlotNumber(1),
            generation: Generation(1),
            image: self.image.clone(),
            container_port: 8080,
            host_port: 20_000,
            environment: [].into(),
            limits: Limits::default(),
            read_only: false,
            files: Vec::new(),
            health_path: None,
        }
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

pub(crate) fn issuer(service: ServiceName) -> Issuer {
    Issuer { service, epoch: Epoch(1) }
}
