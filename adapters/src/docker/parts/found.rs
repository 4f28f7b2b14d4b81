//! What the engine has of parts, as the platform's words. What cannot be read from the labels is no part.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use common::id::{Epoch, Generation};
use common::name::PartName;
use common::port::container::{ContainerState, label};
use common::port::containers::Error;
use common::port::part::Part;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::super::failure::{attempt, classify, is_missing, within};
use super::super::found::state_of;
use super::super::{Engine, QUICK};
use super::body::{PART, container_name};

/// How many containers are looked at at once.
const AT_ONCE: usize = 8;
/// What the engine waits for where a container says nothing.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A part's container.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) part: Part,
    /// How long the engine waits for its end.
    pub(super) stop_within: Duration,
}

impl Engine {
    /// The container of a part; an error if somebody else's has its name.
    pub(super) async fn part(&self, name: &PartName) -> Result<Option<Found>, Error> {
        let called = container_name(name);
        let Some(answer) = self.inspect(&called).await? else { return Ok(None) };
        let foreign = || {
            Error::Refused(format!(
                "the name {called} belongs to a container that is no part of the platform"
            ))
        };
        read(answer).filter(|found| found.part.name == *name).map(Some).ok_or_else(foreign)
    }

    pub(super) async fn parts(&self) -> Result<Vec<Part>, Error> {
        let filters = HashMap::from([("label", vec![format!("{}={PART}", label::PLATFORM)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let summaries = within(QUICK, self.docker.list_containers(Some(options))).await?;
        let ids: Vec<String> = summaries.into_iter().filter_map(|summary| summary.id).collect();
        let mut parts: Vec<Part> = stream::iter(ids)
            .map(|id| async move { self.inspect(&id).await })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(async |answer| Ok(answer.and_then(read).map(|found| found.part)))
            .try_collect()
            .await?;
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(parts)
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        let inspected = self.docker.inspect_container(name, None::<InspectContainerOptions>);
        match attempt(QUICK, inspected).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(err) if is_missing(&err) => Ok(None),
            Err(err) => Err(classify(err)),
        }
    }
}

fn read(answer: ContainerInspectResponse) -> Option<Found> {
    let config = answer.config.unwrap_or_default();
    let name = answer.name.unwrap_or_default();
    let state = state_of(&answer.state.unwrap_or_default());
    let labels = config.labels.unwrap_or_default();
    let part = part_of(name.trim_start_matches('/'), &labels, state)?;
    let stop = config.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok());
    let stop_within = stop.map_or(STOP_WITHIN, Duration::from_secs);
    Some(Found { id: answer.id?, part, stop_within })
}

fn part_of(called: &str, labels: &HashMap<String, String>, state: ContainerState) -> Option<Part> {
    if labels.get(label::PLATFORM).map(String::as_str) != Some(PART) {
        return None;
    }
    let part = Part {
        name: parsed(labels, label::PART)?,
        generation: Generation(parsed(labels, label::GENERATION)?),
        epoch: Epoch(parsed(labels, label::EPOCH)?),
        spec_hash: labels.get(label::SPEC)?.clone(),
        state,
        healthy: None,
        apart: false,
        restarts: 0,
    };
    (called == container_name(&part.name)).then_some(part)
}

fn parsed<T: FromStr>(labels: &HashMap<String, String>, name: &str) -> Option<T> {
    labels.get(name).and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::body::{labels, tests::spec};
    use super::*;

    #[test]
    fn what_was_labelled_is_read_back() {
        let spec = spec();
        let labels = labels(&spec, Epoch(9));
        let part = part_of("avishkar-part-app-manager", &labels, ContainerState::Created).unwrap();
        assert_eq!(
            (part.name, part.generation, part.epoch),
            (spec.name.clone(), Generation(3), Epoch(9))
        );
        assert_eq!(part.spec_hash, spec.hash());
    }

    #[test]
    fn a_container_with_another_name_or_without_labels_is_no_part() {
        let labels = labels(&spec(), Epoch(9));
        let read = |called, labels| part_of(called, labels, ContainerState::Created);
        assert_eq!(read("avishkar-part-kafka", &labels), None);
        assert_eq!(read("avishkar-part-app-manager", &HashMap::new()), None);
    }
}
