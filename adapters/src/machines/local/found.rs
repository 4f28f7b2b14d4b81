//! What the engine has: a container as a machine, and whose it is.

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::net::Ipv4Addr;

use bollard::Docker;
use bollard::errors::Error as Refusal;
use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
};
use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
};
use common::name::NodeName;
use common::port::host::{Gate, HostKey};
use common::port::machines::{Error, Machine, MachineId, Power};
use futures::TryStreamExt as _;
use tokio::time::timeout;

use super::body::{ADDRESS, HOST_KEY, MACHINES_SOCKET, NAME, OF, SPEC};
use super::failure::{is_missing, unavailable};
use super::{LocalSettings, QUICK};
use crate::ssh::key::host_key_of_line;

/// As whom one signs in.
const USER: &str = "root";
/// More is no public key.
const SMALL: u64 = 16 * 1024;

/// A container that has a machine's name.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) is_ours: bool,
    pub(super) is_paused: bool,
    /// It was never started, and nobody may sign in.
    pub(super) is_half_made: bool,
    pub(super) spec: String,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) machine: Machine,
}

pub(super) async fn find(
    docker: &Docker,
    settings: &LocalSettings,
    name: &NodeName,
) -> Result<Option<Found>, Error> {
    let container = settings.container(name);
    let inspected = docker.inspect_container(&container, None::<InspectContainerOptions>);
    let inspected = match asked(inspected).await? {
        Ok(inspected) => inspected,
        Err(err) if is_missing(&err) => return Ok(None),
        Err(err) => return Err(unavailable(err)),
    };
    let mut found = of(inspected, settings, name);
    if found.is_ours {
        found.machine.host_key = host_key(docker, &found.id).await?;
    }
    Ok(Some(found))
}

fn of(inspected: ContainerInspectResponse, settings: &LocalSettings, name: &NodeName) -> Found {
    let labels = inspected.config.and_then(|config| config.labels).unwrap_or_default();
    let has = |label: &str, value: &str| labels.get(label).is_some_and(|found| found == value);
    let state = inspected.state.unwrap_or_default();
    let address: Option<Ipv4Addr> = labels.get(ADDRESS).and_then(|text| text.parse().ok());
    let machine = Machine {
        name: name.clone(),
        id: inspected.id.clone().map(MachineId),
        power: power(&state),
        address: address.map(Into::into),
        entry: Gate::new(address.map(|address| address.to_string()).unwrap_or_default()),
        user: USER.to_owned(),
        host_key: None,
    };
    Found {
        id: inspected.id.unwrap_or_default(),
        is_ours: has(OF, &settings.platform) && has(NAME, name.as_str()),
        is_paused: state.paused.unwrap_or_default(),
        is_half_made: state.status == Some(ContainerStateStatusEnum::CREATED),
        spec: labels.get(SPEC).cloned().unwrap_or_default(),
        address,
        machine,
    }
}

/// A paused container is called running, too, and one that is restarted.
fn power(state: &ContainerState) -> Power {
    let is = |flag: Option<bool>| flag.unwrap_or_default();
    if is(state.paused) {
        Power::Unknown
    } else if is(state.restarting) {
        Power::Changing
    } else if is(state.running) {
        Power::Running
    } else {
        Power::Stopped
    }
}

/// The machine's host key as its disk has it; none before it was made, which the first start does.
async fn host_key(docker: &Docker, id: &str) -> Result<Option<HostKey>, Error> {
    let options = DownloadFromContainerOptionsBuilder::new().path(HOST_KEY).build();
    let chunks = docker.download_from_container(id, Some(options));
    let archive: Vec<u8> = match asked(chunks.map_ok(Vec::from).try_concat()).await? {
        Ok(archive) => archive,
        Err(err) if is_missing(&err) => return Ok(None),
        Err(err) => return Err(unavailable(err)),
    };
    Ok(only_file(&archive).and_then(|line| host_key_of_line(&line)))
}

fn only_file(archive: &[u8]) -> Option<String> {
    let mut archive = tar::Archive::new(archive);
    let entry = archive.entries().ok()?.next()?.ok()?;
    let mut text = String::new();
    entry.take(SMALL).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The names of all machines of this platform, sorted.
pub(super) async fn names(
    docker: &Docker,
    settings: &LocalSettings,
) -> Result<BTreeSet<NodeName>, Error> {
    labelled(docker, settings, NAME).await
}

/// The addresses of all machines of this platform, running or not.
pub(super) async fn addresses(
    docker: &Docker,
    settings: &LocalSettings,
) -> Result<BTreeSet<Ipv4Addr>, Error> {
    labelled(docker, settings, ADDRESS).await
}

/// What changes nothing has no outcome that could be unknown.
async fn asked<T>(
    call: impl Future<Output = Result<T, Refusal>>,
) -> Result<Result<T, Refusal>, Error> {
    let late = |_| Error::Unavailable(format!("no answer within {QUICK:?}").into());
    timeout(QUICK, call).await.map_err(late)
}

/// Where this computer has the socket of its engine: as the machines tell that were given it. Who asks may be in one of them,
/// where it has another path.
pub(super) async fn socket(docker: &Docker, settings: &LocalSettings) -> Result<String, Error> {
    let mounts = listed(docker, settings).await?.into_iter().filter_map(|one| one.mounts);
    let given =
        mounts.flatten().filter(|mount| mount.destination.as_deref() == Some(MACHINES_SOCKET));
    let mut sources = given.filter_map(|mount| mount.source);
    let source = sources.find(|source| source != MACHINES_SOCKET);
    Ok(source.unwrap_or_else(|| settings.socket.to_string_lossy().into_owned()))
}

async fn labelled<T: std::str::FromStr + Ord>(
    docker: &Docker,
    settings: &LocalSettings,
    label: &str,
) -> Result<BTreeSet<T>, Error> {
    let values = listed(docker, settings).await?.into_iter().filter_map(|container| {
        container.labels.unwrap_or_default().get(label).and_then(|text| text.parse().ok())
    });
    Ok(values.collect())
}

/// The machines of this platform, running or not.
async fn listed(docker: &Docker, settings: &LocalSettings) -> Result<Vec<ContainerSummary>, Error> {
    let of = format!("{OF}={}", settings.platform);
    let filters = HashMap::from([("label", vec![of])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    asked(docker.list_containers(Some(options))).await?.map_err(unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_machine_does_not_run_and_one_that_restarts_changes() {
        let state = |running, paused, restarting| {
            power(&ContainerState {
                running: Some(running),
                paused: Some(paused),
                restarting: Some(restarting),
                ..ContainerState::default()
            })
        };
        assert_eq!(state(true, false, false), Power::Running);
        assert_eq!(state(true, true, false), Power::Unknown);
        assert_eq!(state(true, false, true), Power::Changing);
        assert_eq!(state(false, false, false), Power::Stopped);
    }
}
