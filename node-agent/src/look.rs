//! Looking at a container's port: what listens, whether it can be reached, what it answers over HTTP.

mod member;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use common::port::container::ContainerSpec;
use common::port::nodes::Probe;
use common::port::part::{PartHealth, SILENT_LOOPS};
use reqwest::redirect::Policy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::domain::listeners;

pub use member::takes_part;

/// How long an app may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Eyes {
    ip: IpAddr,
    /// Where the kernel shows processes.
    proc_folder: PathBuf,
    http: reqwest::Client,
}

/// What a part says, from the worst to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Heard {
    Nothing,
    /// It answers, and says that it does nothing: its loops are silent.
    Idle,
    /// It answers, and is not ready.
    Unwell,
    /// It is ready by itself, and takes no part in its ensemble.
    Apart,
    Well,
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

    /// How a part is that should be found there; none if it could not be asked.
    pub(crate) async fn hear(&self, address: SocketAddr, health: &PartHealth) -> Option<Heard> {
        match &health.path {
            Some(path) => match self.http.get(format!("http://{address}{path}")).send().await {
                Ok(answer) if answer.headers().contains_key(SILENT_LOOPS) => Some(Heard::Idle),
                Ok(answer) if answer.status().as_u16() < 400 => Some(Heard::Well),
                Ok(_) => Some(Heard::Unwell),
                Err(err) => silence(&err),
            },
            None => {
                let talked = talk(address, &health.says);
                match tokio::time::timeout(DEADLINE, talked).await {
                    Ok(Ok(())) => Some(member_says(address, health).await),
                    Ok(Err(err)) => silence(&err),
                    Err(_) => Some(Heard::Nothing),
                }
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

/// What fails on this side is nobody's silence: here nothing can be opened, or there is no way.
fn silence(err: &(dyn Error + 'static)) -> Option<Heard> {
    let mut chain = std::iter::successors(Some(err), |err| (*err).source());
    let theirs = chain.find_map(|err| err.downcast_ref::<io::Error>()).is_none_or(|err| {
        matches!(
            err.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
                | ErrorKind::TimedOut
        )
    });
    theirs.then_some(Heard::Nothing)
}

/// One that answers does not hang, whatever it says of its ensemble.
async fn member_says(address: SocketAddr, health: &PartHealth) -> Heard {
    let Some(member) = &health.member else { return Heard::Well };
    match tokio::time::timeout(DEADLINE, takes_part(address, member)).await {
        Ok(Ok(true)) => Heard::Well,
        Ok(Err(err)) => {
            tracing::debug!(error = &err as &dyn Error, %address, "a member did not say whether it takes part");
            Heard::Apart
        }
        Ok(Ok(false)) | Err(_) => Heard::Apart,
    }
}

/// Connects; and where something is said, waits for the first byte of an answer.
async fn talk(address: SocketAddr, says: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    if !says.is_empty() {
        stream.write_all(says).await?;
        stream.read_u8().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eyes() -> Eyes {
        Eyes::new(IpAddr::from([127, 0, 0, 1]), PathBuf::from("/proc")).unwrap()
    }

    fn ways_to_ask(port: u16) -> [PartHealth; 3] {
        let listens = PartHealth::listens(port);
        let says = PartHealth { says: b"ruok".to_vec(), ..listens.clone() };
        let path = PartHealth { path: Some("/readyz".to_owned()), ..listens.clone() };
        [listens, says, path]
    }

    #[tokio::test]
    async fn a_closed_door_is_silence_and_what_fails_here_is_not() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        // Nobody there is ever asked: the kernel of this machine has no way for it.
        let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
        for health in ways_to_ask(address.port()) {
            assert_eq!(eyes().hear(address, &health).await, Some(Heard::Nothing), "{health:?}");
            assert_eq!(eyes().hear(broadcast, &health).await, None, "{health:?}");
        }
    }
}
