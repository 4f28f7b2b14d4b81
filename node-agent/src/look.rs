//! Looking at a container's port: what listens, whether it can be reached, what it answers over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use common::port::container::ContainerSpec;
use common::port::nodes::Probe;
use reqwest::redirect::Policy;
use tokio::net::TcpStream;

use crate::domain::listeners;

/// How long an app may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Eyes {
    ip: IpAddr,
    /// Where the kernel shows processes.
    proc_folder: PathBuf,
    http: reqwest::Client,
}

impl Eyes {
    pub(crate) fn new(ip: IpAddr, proc_folder: PathBuf) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(DEADLINE)
            .pool_max_idle_per_host(0)
            .build()?;
        // Published on all addresses is reached on this one.
        let ip = if ip.is_unspecified() { IpAddr::from([127, 0, 0, 1]) } else { ip };
        Ok(Eyes { ip, proc_folder, http })
    }

    /// Looks at the port of a running container. `told` is its specification where the agent knows it,
    /// `process` its first process where it has one.
    pub(crate) async fn look(
        &self,
        host_port: u16,
        told: Option<&ContainerSpec>,
        process: Option<u32>,
    ) -> Probe {
        let Some(spec) = told else { return self.connect(host_port).await };
        let listening = process.and_then(|process| self.listeners(process));
        if let Some(listening) = listening
            && !listeners::answers(&listening, spec.container_port)
        {
            return Probe::NotListening {
                listening: listening.iter().map(ToString::to_string).collect(),
            };
        }
        match &spec.health_path {
            Some(path) => self.ask(host_port, path).await,
            None => self.connect(host_port).await,
        }
    }

    /// What listens in the network of a process, if the kernel shows it.
    fn listeners(&self, process: u32) -> Option<Vec<SocketAddr>> {
        let folder = self.proc_folder.join(process.to_string()).join("net");
        let mut found = listeners::parse(&std::fs::read_to_string(folder.join("tcp")).ok()?);
        // Machines without the newer protocol have no such table.
        let newer = std::fs::read_to_string(folder.join("tcp6")).unwrap_or_default();
        found.extend(listeners::parse(&newer));
        Some(found)
    }

    async fn connect(&self, host_port: u16) -> Probe {
        let connected = TcpStream::connect((self.ip, host_port));
        match tokio::time::timeout(DEADLINE, connected).await {
            Ok(Ok(_)) => Probe::Healthy,
            Ok(Err(_)) | Err(_) => Probe::NotListening { listening: Vec::new() },
        }
    }

    /// Whether something answers there: over HTTP below 400, if a path is asked for.
    pub(crate) async fn answers(&self, address: SocketAddr, path: Option<&str>) -> bool {
        match path {
            Some(path) => {
                let answer = self.http.get(format!("http://{address}{path}")).send().await;
                answer.is_ok_and(|answer| answer.status().as_u16() < 400)
            }
            None => {
                let connected = TcpStream::connect(address);
                matches!(tokio::time::timeout(DEADLINE, connected).await, Ok(Ok(_)))
            }
        }
    }

    async fn ask(&self, host_port: u16, path: &str) -> Probe {
        let url = format!("http://{}{path}", SocketAddr::new(self.ip, host_port));
        match self.http.get(url).send().await {
            Ok(answer) if answer.status().as_u16() < 500 => Probe::Healthy,
            Ok(answer) => Probe::Unhealthy { status: Some(answer.status().as_u16()) },
            Err(err) if err.is_connect() => Probe::NotListening { listening: Vec::new() },
            Err(_) => Probe::Unhealthy { status: None },
        }
    }
}
