//! [`ContainerFirewall`]: the same rules, set by a short container on the machine's network, for a
//! platform that is not root but may use the container engine.
//!
//! Only such a container could look at the rules, and running one costs more than starting an app may
//! wait for. So they are set again as soon as the engine shows that they may be gone, which two short
//! questions tell:
//! - The container that set them stays, ended, for as long as nobody else sets or removes rules, which
//!   takes its name first. `down` of any user who is not root does so, and so does a removal of all
//!   containers.
//! - A network of the engine's is gone: somebody removed them, as `down` does, or the engine was started
//!   again, which makes its default one anew.
//!
//! What shows neither, as root's `iptables -F`, is mended within a minute and the time to the next call;
//! until then what is started runs without the rules.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListNetworksOptions,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use common::port::container::label;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{JUMPS, Rules, render};

const NAME: &str = "avishkar-firewall";
/// What kind of thing of the platform's it is.
pub(crate) const FIREWALL: &str = "firewall";
const APPLY: &str = "/usr/lib/firewall/apply.sh";
const REMOVE: &str = "/usr/lib/firewall/remove.sh";
const EVERY: Duration = Duration::from_mins(1);
/// A container is made, and runs two programs.
const DEADLINE: Duration = Duration::from_secs(30);
/// What only asks the engine.
const QUICK: Duration = Duration::from_secs(5);
const MEMORY: i64 = 64 * 1024 * 1024;

/// Why the rules do not hold.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error("the container engine does not run the firewall's container")]
    Engine(#[from] bollard::errors::Error),
    #[error("the firewall's container refused: {0}")]
    Refused(String),
    #[error("the firewall's container did not end in time")]
    TimedOut,
    #[error("the rules cannot be put into the firewall's container")]
    Archive(#[source] io::Error),
}

/// The machine's packet filter, for a user who may use the engine at a socket.
#[derive(Debug)]
pub struct ContainerFirewall {
    docker: Docker,
    image: String,
    /// What was set last; none if it is known to be gone.
    set: Mutex<Option<Set>>,
}

#[derive(Debug)]
struct Set {
    rules: Rules,
    at: Instant,
    /// The container that did it.
    by: String,
    /// The engine's networks of that time, and those made since.
    networks: BTreeSet<String>,
}

impl ContainerFirewall {
    /// Fails while there is no socket.
    pub fn new(socket: &Path, image: impl Into<String>) -> Result<Self, ContainerError> {
        let socket = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, DEADLINE.as_secs(), API_DEFAULT_VERSION)?;
        Ok(ContainerFirewall { docker, image: image.into(), set: Mutex::default() })
    }

    /// Makes exactly these rules hold, whatever held before.
    pub async fn apply(&self, rules: &Rules) -> Result<(), ContainerError> {
        let mut set = self.set.lock().await;
        // Asked before they are set: what goes in between is found missing next time.
        let networks = within(QUICK, self.networks()).await?;
        if let Some(last) = &mut *set
            && last.rules == *rules
            && last.at.elapsed() < EVERY
            && last.networks.is_subset(&networks)
            && within(QUICK, self.is_there(&last.by)).await?
        {
            last.networks = networks;
            return Ok(());
        }
        *set = None;
        let ran = within(DEADLINE, self.run_to_its_end(APPLY, &render(rules))).await;
        if ran.is_err() {
            drop(within(DEADLINE, self.clear()).await);
        }
        *set = Some(Set { rules: rules.clone(), at: Instant::now(), by: ran?, networks });
        Ok(())
    }

    /// Takes down what [`apply`](Self::apply) put up.
    pub async fn remove(&self) -> Result<(), ContainerError> {
        let mut set = self.set.lock().await;
        *set = None;
        let ran = within(DEADLINE, self.run_to_its_end(REMOVE, "")).await;
        let cleared = within(DEADLINE, self.clear()).await;
        ran.and(cleared)
    }

    async fn networks(&self) -> Result<BTreeSet<String>, ContainerError> {
        let networks = self.docker.list_networks(None::<ListNetworksOptions>).await?;
        Ok(networks.into_iter().filter_map(|network| network.id).collect())
    }

    async fn is_there(&self, id: &str) -> Result<bool, ContainerError> {
        match self.docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(_) => Ok(true),
            Err(err) if is_missing(&err) => Ok(false),
            Err(err) => Err(err.into()),
        }
    }

    /// Leaves the container there, and gives its id.
    async fn run_to_its_end(&self, program: &str, rules: &str) -> Result<String, ContainerError> {
        self.clear().await?;
        let options = CreateContainerOptionsBuilder::new().name(NAME).build();
        let made = self.docker.create_container(Some(options), self.body(program)).await?;
        let files = archive(rules).map_err(ContainerError::Archive)?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        self.docker.upload_to_container(NAME, Some(options), body_full(files.into())).await?;
        let mut ended = self.docker.wait_container(NAME, None::<WaitContainerOptions>);
        self.docker.start_container(NAME, None::<StartContainerOptions>).await?;
        match ended.next().await {
            Some(Ok(_)) => Ok(made.id),
            _ => Err(ContainerError::Refused(self.last_words().await?)),
        }
    }

    async fn clear(&self) -> Result<(), ContainerError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        match self.docker.remove_container(NAME, Some(options)).await {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    async fn last_words(&self) -> Result<String, ContainerError> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("5").build();
        let lines: Vec<LogOutput> = self.docker.logs(NAME, Some(options)).try_collect().await?;
        let text: String = lines.iter().map(ToString::to_string).collect();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(words.chars().take(300).collect())
    }

    fn body(&self, program: &str) -> ContainerCreateBody {
        let rights = ["NET_ADMIN", "NET_RAW"].map(str::to_owned);
        let host = HostConfig {
            network_mode: Some("host".to_owned()),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(rights.to_vec()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            memory: Some(MEMORY),
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            user: Some("0:0".to_owned()),
            cmd: Some(vec![program.to_owned()]),
            labels: Some(HashMap::from([(label::PLATFORM.to_owned(), FIREWALL.to_owned())])),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }
}

async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, ContainerError>>,
) -> Result<T, ContainerError> {
    timeout(limit, asked).await.unwrap_or(Err(ContainerError::TimedOut))
}

fn is_missing(err: &bollard::errors::Error) -> bool {
    matches!(err, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

/// What the programs read: `rules` and `jumps`.
fn archive(rules: &str) -> io::Result<Vec<u8>> {
    let jumps = JUMPS.map(|jump| jump.join(" ") + "\n").concat();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [("rules", rules), ("jumps", &jumps)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o444);
        archive.append_data(&mut header, name, content.as_bytes())?;
    }
    archive.into_inner()
}
