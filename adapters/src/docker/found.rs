//! What the engine has, as the platform's words. What cannot be read from our labels is not ours.

use std::collections::HashMap;
use std::str::FromStr;

use bollard::Docker;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use common::name::ContainerName;
use common::port::container::{Container, ContainerState, label};
use common::port::containers::Error;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::body::APP;
use super::failure::{attempt, classify, is_missing, within};
use super::{Engine, QUICK};

/// How many containers are looked at at once.
const AT_ONCE: usize = 8;

/// One container of the engine, ours or not.
#[derive(Debug)]
pub(super) struct Found {
    /// None if it is not ours.
    pub(super) container: Option<Container>,
    pub(super) process_id: Option<u32>,
}

impl Engine {
    /// Looks at a container, by name or id.
    pub(super) async fn look(&self, name: &str) -> Result<Option<Found>, Error> {
        look(&self.docker, name).await
    }

    pub(super) async fn list_ours(&self) -> Result<Vec<Container>, Error> {
        let filters = HashMap::from([("label", vec![format!("{}={APP}", label::PLATFORM)])]);
        let mut containers = list(&self.docker, &filters).await?;
        containers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(containers)
    }
}

/// Our containers that the engine's filters leave, in any state.
pub(super) async fn list(
    docker: &Docker,
    filters: &HashMap<&str, Vec<String>>,
) -> Result<Vec<Container>, Error> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(filters).build();
    let summaries = within(QUICK, docker.list_containers(Some(options))).await?;
    let ids: Vec<String> = summaries.into_iter().filter_map(|summary| summary.id).collect();
    stream::iter(ids)
        .map(|id| async move { look(docker, &id).await })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(async |found| Ok(found.and_then(|found| found.container)))
        .try_collect()
        .await
}

async fn look(docker: &Docker, name: &str) -> Result<Option<Found>, Error> {
    let inspected = docker.inspect_container(name, None::<InspectContainerOptions>);
    match attempt(QUICK, inspected).await? {
        Ok(answer) => Ok(read(answer)),
        Err(err) if is_missing(&err) => Ok(None),
        Err(err) => Err(classify(err)),
    }
}

fn read(answer: ContainerInspectResponse) -> Option<Found> {
    let id = answer.id?;
    let state = answer.state.unwrap_or_default();
    let process_id = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let labels = answer.config.and_then(|config| config.labels).unwrap_or_default();
    let name = answer.name.unwrap_or_default();
    let container = ours(name.trim_start_matches('/'), &id, &labels, state_of(&state));
    Some(Found { container, process_id })
}

pub(super) fn state_of(state: &bollard::models::ContainerState) -> ContainerState {
    let time = |text: &Option<String>| {
        text.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    match state.status.unwrap_or(ContainerStateStatusEnum::EMPTY) {
        ContainerStateStatusEnum::RUNNING
        | ContainerStateStatusEnum::PAUSED
        | ContainerStateStatusEnum::STOPPING
        | ContainerStateStatusEnum::RESTARTING => {
            ContainerState::Running { since: time(&state.started_at) }
        }
        ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY => {
            ContainerState::Created
        }
        ContainerStateStatusEnum::EXITED
        | ContainerStateStatusEnum::DEAD
        | ContainerStateStatusEnum::REMOVING => ContainerState::Exited {
            code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed.unwrap_or_default(),
            at: time(&state.finished_at),
        },
    }
}

fn ours(
    name: &str,
    id: &str,
    labels: &HashMap<String, String>,
    state: ContainerState,
) -> Option<Container> {
    if labels.get(label::PLATFORM).map(String::as_str) != Some(APP) {
        return None;
    }
    let container = Container {
        name: name.parse().ok()?,
        id: id.to_owned(),
        instance: parsed(labels, label::INSTANCE)?,
        slot: common::id::SlotNumber(parsed(labels, label::SLOT)?),
        generation: common::id::Generation(parsed(labels, label::GENERATION)?),
        image: parsed(labels, label::IMAGE)?,
        epoch: common::id::Epoch(parsed(labels, label::EPOCH)?),
        host_port: parsed(labels, label::HOST_PORT)?,
        spec_hash: labels.get(label::SPEC)?.clone(),
        state,
    };
    let named_as_labelled =
        container.name == ContainerName::new(&container.instance, container.slot);
    named_as_labelled.then_some(container)
}

fn parsed<T: FromStr>(labels: &HashMap<String, String>, name: &str) -> Option<T> {
    labels.get(name).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use common::digest::{Digest, ImageRef};
    use common::id::{Epoch, Generation, SlotNumber};
    use common::port::container::{ContainerSpec, Limits};

    use super::super::body;
    use super::*;

    fn labels() -> HashMap<String, String> {
        let spec = ContainerSpec {
            instance: "shop".parse().unwrap(),
            slot: SlotNumber(1),
            generation: Generation(3),
            image: ImageRef::new("registry.example.org:5000/apps/shop", Digest::of(b"")).unwrap(),
            container_port: 8080,
            host_port: 20007,
            environment: BTreeMap::new(),
            limits: Limits::default(),
            read_only: false,
            files: Vec::new(),
            health_path: None,
        };
        body::labels(&spec, Epoch(9), None)
    }

    #[test]
    fn what_was_labelled_is_read_back() {
        let container = ours("shop_instance_1", "abc", &labels(), ContainerState::Created).unwrap();
        assert_eq!(container.generation, Generation(3));
        assert_eq!(container.epoch, Epoch(9));
        assert_eq!(container.host_port, 20007);
        assert_eq!(container.image.repository(), "registry.example.org:5000/apps/shop");
    }

    #[test]
    fn a_container_without_our_labels_or_with_broken_ones_is_not_ours() {
        let read = |name, labels: &HashMap<String, String>| {
            ours(name, "abc", labels, ContainerState::Created)
        };
        assert_eq!(read("shop_instance_1", &HashMap::new()), None);
        assert_eq!(read("other_instance_1", &labels()), None);
        let mut broken = labels();
        broken.insert(label::GENERATION.to_owned(), "x".to_owned());
        assert_eq!(read("shop_instance_1", &broken), None);
    }

    #[test]
    fn an_exit_is_told_with_its_code_and_time() {
        let state = bollard::models::ContainerState {
            status: Some(ContainerStateStatusEnum::EXITED),
            exit_code: Some(137),
            oom_killed: Some(true),
            finished_at: Some("2026-01-02T03:04:05.123456789Z".to_owned()),
            ..Default::default()
        };
        let at = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        assert_eq!(state_of(&state), ContainerState::Exited { code: 137, out_of_memory: true, at });
    }
}
