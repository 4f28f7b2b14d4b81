//! The edge as a container of this machine's engine: for a platform in one process.
//!
//! Owns one container, `avishkar-edge`, on the machine's own network. The engine itself brings it back
//! after a crash or a restart, so that apps answer while no process of the platform runs.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bollard::exec::StartExecResults;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ExecConfig, HostConfig, HostConfigLogConfig,
    Mount, MountType, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use common::digest::Digest;
use common::port::container::label;
use common::port::containers::Error;
use futures::TryStreamExt as _;

use super::failure::{attempt, classify, is_missing, within};
use super::{QUICK, START};

pub(super) const NAME: &str = "avishkar-edge";
/// What kind of thing of the platform's it is.
pub(super) const EDGE: &str = "edge";
/// What it is made of; a container without this label is not ours.
pub(super) const LABEL: &str = "avishkar.edge";
/// Where it has the folder `edge/table` of its platform.
pub(super) const TABLE_FOLDER: &str = "/var/lib/avishkar/edge";
const MEMORY: i64 = 512 * 1024 * 1024;
/// A larger table is none that this platform wrote.
const TABLE_BYTES: usize = 64 * 1024 * 1024;
/// Requests under way get as long when it is replaced.
const STOP_SECONDS: i32 = 20;

/// The edge's own bound, where nothing else is said.
const REQUESTS_PER_ADDRESS: u16 = 1000;

/// How the edge runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeContainerSettings {
    /// The engine's Unix socket.
    pub socket: PathBuf,
    pub image: String,
    /// The folder of the platform: as whose it is known.
    pub home: PathBuf,
    /// The address of front ports and of the listener for host names.
    pub bind: IpAddr,
    pub ports: EdgePorts,
    /// How many requests of one address may be under way; 0 for any number.
    pub requests_per_address: u16,
    /// The folder of `table.json`, and of what the edge has accepted.
    pub table_folder: PathBuf,
    /// The folder of its control socket and its access log, which it writes.
    pub run_folder: PathBuf,
    /// As whom it runs: user and group ids. Both folders belong to them.
    pub owner: (u32, u32),
}

/// Where it listens for host names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgePorts {
    pub host_port: u16,
    /// The same over TLS.
    pub tls_port: u16,
    /// The port over TLS as visitors see it; 0 where it is the same.
    pub tls_announced: u16,
}

impl EdgePorts {
    /// Where nothing else is said. A TLS port that another program has costs TLS then, and not the edge.
    pub const USUAL: EdgePorts = EdgePorts { host_port: 8088, tls_port: 8443, tls_announced: 0 };

    /// What is as usual stays the edge's own to say.
    fn environment(self) -> Vec<String> {
        let EdgePorts { host_port, tls_port, tls_announced } = self;
        let said = [
            ("EDGE_HOST_PORT", host_port, EdgePorts::USUAL.host_port),
            ("EDGE_TLS_PORT", tls_port, EdgePorts::USUAL.tls_port),
            ("EDGE_TLS_ANNOUNCED", tls_announced, EdgePorts::USUAL.tls_announced),
        ];
        let differing = said.into_iter().filter(|(_, port, usual)| port != usual);
        differing.map(|(key, port, _)| format!("{key}={port}")).collect()
    }
}

/// The container of the edge.
#[derive(Debug)]
pub struct EdgeContainer {
    settings: EdgeContainerSettings,
    docker: Docker,
}

impl EdgeContainer {
    /// Fails while there is no socket.
    pub fn new(settings: EdgeContainerSettings) -> Result<Self, Error> {
        let socket = settings.socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, START.as_secs(), API_DEFAULT_VERSION);
        Ok(EdgeContainer { docker: docker.map_err(classify)?, settings })
    }

    pub fn image(&self) -> &str {
        &self.settings.image
    }

    /// Makes it run as it should, from the image as it is now. Says whether it did not before.
    pub async fn ensure(&self) -> Result<bool, Error> {
        let wanted = self.fingerprint().await?;
        match self.look().await? {
            Some(Found { ours: true, state: State::Running, made_of }) if made_of == wanted => {
                return Ok(false);
            }
            Some(Found { ours: true, state: State::Paused, made_of }) if made_of == wanted => {
                within(QUICK, self.docker.unpause_container(NAME)).await?;
                return Ok(true);
            }
            Some(Found { ours: false, .. }) => return Err(foreign()),
            Some(_) => self.remove().await?,
            None => {}
        }
        let options = CreateContainerOptionsBuilder::new().name(NAME).build();
        let made = self.docker.create_container(Some(options), self.settings.body(&wanted));
        within(START, made).await?;
        within(START, self.docker.start_container(NAME, None::<StartContainerOptions>)).await?;
        Ok(true)
    }

    /// Whether it runs, and is not paused; of what it was made is not looked at.
    pub async fn is_running(&self) -> Result<bool, Error> {
        let found = self.look().await?;
        Ok(found.is_some_and(|found| found.ours && found.state == State::Running))
    }

    /// The table that a running edge has kept, as it sees its own folders: those may be others by now than the
    /// ones of that name. None where it does not run, or has none.
    pub async fn kept_table(&self) -> Result<Option<Bytes>, Error> {
        if !self.is_running().await? {
            return Ok(None);
        }
        let path = format!("{TABLE_FOLDER}/accepted.json");
        let cmd = Some(vec!["cat".to_owned(), path]);
        let reading = ExecConfig { attach_stdout: Some(true), cmd, ..ExecConfig::default() };
        let read = within(QUICK, self.docker.create_exec(NAME, reading)).await?;
        let started = within(QUICK, self.docker.start_exec(&read.id, None)).await?;
        let StartExecResults::Attached { output, .. } = started else { return Ok(None) };
        let gathered = output.try_fold(Vec::new(), async |mut table, piece| {
            table.extend_from_slice(&piece.into_bytes());
            table.truncate(TABLE_BYTES);
            Ok(table)
        });
        let table = within(QUICK, gathered).await?;
        Ok(Some(table).filter(|table| !table.is_empty()).map(Bytes::from))
    }

    /// Makes sure that it is gone; requests under way end first, within a bound.
    pub async fn remove(&self) -> Result<(), Error> {
        match self.look().await? {
            None => return Ok(()),
            Some(Found { ours: false, .. }) => return Err(foreign()),
            Some(_) => {}
        }
        let stop = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        // Whatever does not stop is removed by force.
        drop(attempt(START, self.docker.stop_container(NAME, Some(stop))).await?);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match attempt(START, self.docker.remove_container(NAME, Some(options))).await? {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) => Ok(()),
            Err(err) => Err(classify(err)),
        }
    }

    /// The settings, the image's id and which folders those are today: whatever changes makes another container. One
    /// that was made before a folder was moved away goes on in the moved one.
    async fn fingerprint(&self) -> Result<String, Error> {
        let image = &self.settings.image;
        let id = match attempt(QUICK, self.docker.inspect_image(image)).await? {
            Ok(found) => found.id.unwrap_or_default(),
            Err(err) if is_missing(&err) => {
                let source = Box::new(err);
                return Err(Error::ImageUnavailable { image: image.clone(), source });
            }
            Err(err) => return Err(classify(err)),
        };
        let folders = [&self.settings.table_folder, &self.settings.run_folder];
        let folders = folders.map(|folder| fs::metadata(folder).ok().map(|found| found.ino()));
        Ok(Digest::of(format!("{:?} {id} {folders:?}", self.settings).as_bytes()).to_string())
    }

    async fn look(&self) -> Result<Option<Found>, Error> {
        let inspected = self.docker.inspect_container(NAME, None::<InspectContainerOptions>);
        match attempt(QUICK, inspected).await? {
            Ok(found) => Ok(Some(Found::of(found))),
            Err(err) if is_missing(&err) => Ok(None),
            Err(err) => Err(classify(err)),
        }
    }
}

impl EdgeContainerSettings {
    fn environment(&self) -> Vec<String> {
        let EdgeContainerSettings { bind, ports, requests_per_address: most, .. } = self;
        let mut said = vec![format!("EDGE_BIND={bind}")];
        said.extend(ports.environment());
        if *most != REQUESTS_PER_ADDRESS {
            said.push(format!("EDGE_REQUESTS_PER_ADDRESS={most}"));
        }
        said
    }

    fn body(&self, fingerprint: &str) -> ContainerCreateBody {
        let EdgeContainerSettings { image, table_folder, run_folder, owner, .. } = self;
        let (user, group) = owner;
        let log = [("max-size", "10m"), ("max-file", "3")];
        let log = log.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let always = RestartPolicyNameEnum::UNLESS_STOPPED;
        let host = HostConfig {
            network_mode: Some("host".to_owned()),
            mounts: Some(vec![
                mount(table_folder, TABLE_FOLDER),
                mount(run_folder, "/run/avishkar/edge"),
            ]),
            readonly_rootfs: Some(true),
            tmpfs: Some(HashMap::from([("/tmp".to_owned(), "size=64m,mode=1777".to_owned())])),
            memory: Some(MEMORY),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            init: Some(true),
            restart_policy: Some(RestartPolicy { name: Some(always), maximum_retry_count: None }),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(log.collect()),
            }),
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(image.clone()),
            user: Some(format!("{user}:{group}")),
            env: Some(self.environment()),
            labels: Some(HashMap::from([
                (label::PLATFORM.to_owned(), EDGE.to_owned()),
                (LABEL.to_owned(), fingerprint.to_owned()),
                (label::HOME.to_owned(), self.home.display().to_string()),
            ])),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }
}

/// A folder of this machine, as the edge sees it. In the short form a colon in its path would end it.
fn mount(folder: &Path, target: &str) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(folder.display().to_string()),
        target: Some(target.to_owned()),
        ..Mount::default()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    ours: bool,
    state: State,
    made_of: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Its processes are there and do nothing.
    Paused,
    Ended,
}

impl Found {
    fn of(found: ContainerInspectResponse) -> Self {
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        let made_of = labels.get(LABEL).cloned();
        // A paused container is called running, too.
        let state = found.state.unwrap_or_default();
        let state = match (state.running.unwrap_or_default(), state.paused.unwrap_or_default()) {
            (_, true) => State::Paused,
            (true, false) => State::Running,
            (false, false) => State::Ended,
        };
        Found { ours: made_of.is_some(), state, made_of: made_of.unwrap_or_default() }
    }
}

fn foreign() -> Error {
    Error::Refused(format!("the name {NAME} belongs to a container that is not the platform's"))
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, ContainerState};

    use super::*;

    fn inspected(running: bool, paused: bool, label: &str) -> ContainerInspectResponse {
        let labels = HashMap::from([(label.to_owned(), "f".to_owned())]);
        ContainerInspectResponse {
            config: Some(ContainerConfig { labels: Some(labels), ..ContainerConfig::default() }),
            state: Some(ContainerState {
                running: Some(running),
                paused: Some(paused),
                ..ContainerState::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn a_paused_container_does_not_run() {
        let state = |running, paused| Found::of(inspected(running, paused, LABEL)).state;
        assert_eq!(state(true, false), State::Running);
        assert_eq!(state(true, true), State::Paused);
        assert_eq!(state(false, false), State::Ended);
    }

    #[test]
    fn a_container_without_the_label_is_not_ours() {
        assert!(Found::of(inspected(true, false, LABEL)).ours);
        assert!(!Found::of(inspected(true, false, "shop")).ours);
    }

    #[test]
    fn a_folder_may_have_a_colon_in_its_path_and_ports_are_said_where_they_are_others() {
        let settings = EdgeContainerSettings {
            socket: "/run/docker.sock".into(),
            image: "avishkar/edge:dev".to_owned(),
            home: "/state/a:b".into(),
            bind: IpAddr::from([127, 0, 0, 1]),
            ports: EdgePorts { tls_port: 9443, tls_announced: 443, ..EdgePorts::USUAL },
            requests_per_address: 0,
            table_folder: "/state/a:b/table".into(),
            run_folder: "/state/a:b/run".into(),
            owner: (1, 1),
        };
        let body = settings.body("f");
        let said = [
            "EDGE_BIND=127.0.0.1",
            "EDGE_TLS_PORT=9443",
            "EDGE_TLS_ANNOUNCED=443",
            "EDGE_REQUESTS_PER_ADDRESS=0",
        ];
        assert_eq!(body.env.unwrap(), said);
        let usual = EdgeContainerSettings {
            ports: EdgePorts::USUAL,
            requests_per_address: REQUESTS_PER_ADDRESS,
            ..settings
        };
        assert_eq!(usual.environment(), ["EDGE_BIND=127.0.0.1"]);
        let host = body.host_config.unwrap();
        assert_eq!(host.binds, None);
        let mounts = host.mounts.unwrap();
        let pairs: Vec<(&str, &str)> = mounts
            .iter()
            .map(|mount| (mount.source.as_deref().unwrap(), mount.target.as_deref().unwrap()))
            .collect();
        let table = ("/state/a:b/table", "/var/lib/avishkar/edge");
        assert_eq!(pairs, [table, ("/state/a:b/run", "/run/avishkar/edge")]);
        assert!(mounts.iter().all(|mount| mount.typ == Some(MountType::BIND)));
    }
}
