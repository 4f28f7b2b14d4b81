//! [`ContainerFirewall`]: the same rules, set by a short container on the machine's network, for a
//! platform that is not root but may use the container engine.
//!
//! Making a container costs more than a look at the rules, so that they are set again only now and
//! then: whoever removes them in between is root.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use common::port::container::label;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{JUMPS, Rules, render};

const NAME: &str = "avishkar-firewall";
/// What kind of thing of the platform's it is.
const FIREWALL: &str = "firewall";
const APPLY: &str = "/usr/lib/firewall/apply.sh";
const REMOVE: &str = "/usr/lib/firewall/remove.sh";
const EVERY: Duration = Duration::from_mins(5);
/// A container is made, runs two programs, and is removed.
const DEADLINE: Duration = Duration::from_secs(30);
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
    /// What was set last, and when.
    stands: Mutex<Option<(Rules, Instant)>>,
}

impl ContainerFirewall {
    /// Fails while there is no socket.
    pub fn new(socket: &Path, image: impl Into<String>) -> Result<Self, ContainerError> {
        let socket = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, DEADLINE.as_secs(), API_DEFAULT_VERSION)?;
        Ok(ContainerFirewall { docker, image: image.into(), stands: Mutex::default() })
    }

    /// Makes exactly these rules hold, whatever held before.
    pub async fn apply(&self, rules: &Rules) -> Result<(), ContainerError> {
        let mut stands = self.stands.lock().await;
        if stands.as_ref().is_some_and(|(last, at)| last == rules && at.elapsed() < EVERY) {
            return Ok(());
        }
        *stands = None;
        self.run(APPLY, &render(rules)).await?;
        *stands = Some((rules.clone(), Instant::now()));
        Ok(())
    }

    /// Takes down what [`apply`](Self::apply) put up.
    pub async fn remove(&self) -> Result<(), ContainerError> {
        let mut stands = self.stands.lock().await;
        *stands = None;
        self.run(REMOVE, "").await
    }

    async fn run(&self, program: &str, rules: &str) -> Result<(), ContainerError> {
        let ran = timeout(DEADLINE, self.run_to_its_end(program, rules)).await;
        let ran = ran.unwrap_or(Err(ContainerError::TimedOut));
        let cleaned = timeout(DEADLINE, self.clear()).await;
        ran.and_then(|()| cleaned.unwrap_or(Err(ContainerError::TimedOut)))
    }

    async fn run_to_its_end(&self, program: &str, rules: &str) -> Result<(), ContainerError> {
        // One that was left behind by a process that was killed.
        self.clear().await?;
        let options = CreateContainerOptionsBuilder::new().name(NAME).build();
        self.docker.create_container(Some(options), self.body(program)).await?;
        let files = archive(rules).map_err(ContainerError::Archive)?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        self.docker.upload_to_container(NAME, Some(options), body_full(files.into())).await?;
        let mut ended = self.docker.wait_container(NAME, None::<WaitContainerOptions>);
        self.docker.start_container(NAME, None::<StartContainerOptions>).await?;
        match ended.next().await {
            Some(Ok(_)) => Ok(()),
            _ => Err(ContainerError::Refused(self.last_words().await?)),
        }
    }

    async fn clear(&self) -> Result<(), ContainerError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        match self.docker.remove_container(NAME, Some(options)).await {
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
            | Ok(()) => Ok(()),
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
