//! Where the registry should be, once its machine is gone.

use std::time::Duration;

use common::name::{NodeName, PartName};
use jiff::Timestamp;
use rollout::platform::{Component, Platform};

use super::note::Sightings;
use super::waits::elapsed;
use crate::records::RegistryPlace;

/// How soon a machine that did not have its image is asked again.
const ASK_AGAIN: Duration = Duration::from_mins(10);

/// Who could take it.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    /// As it is described: who was brought the image, whatever happened since.
    pub(crate) platform: &'a Platform,
    /// The machines that answer and are ready, sorted.
    pub(crate) answering: Vec<&'a NodeName>,
    pub(crate) now: Timestamp,
}

/// The machine that takes it: one that was brought its image, or else one that may have it and has not said no.
pub(crate) fn heir(place: &RegistryPlace, candidates: &Candidates<'_>) -> Option<NodeName> {
    let said_no = |node: &NodeName| {
        let said = place.without.get(node);
        said.is_some_and(|at| elapsed(*at, candidates.now) < ASK_AGAIN)
    };
    let has_none = |node: &NodeName| {
        let carried = candidates.platform.carried(node);
        !carried.iter().any(|(component, _)| *component == Component::Registry)
    };
    let free = candidates.answering.iter().filter(|node| **node != &place.node && !said_no(node));
    free.min_by_key(|node| (has_none(node), *node)).map(|node| (*node).clone())
}

impl RegistryPlace {
    /// A registry that stands there, empty.
    pub(crate) fn at(node: NodeName) -> Self {
        let (former, without) = (None, [].into());
        RegistryPlace { schema: 1, node, filled: false, former, without }
    }

    /// Where it was, if it is there again before the new one is filled.
    pub(crate) fn returned(&self, part: &PartName, seen: &Sightings) -> Option<NodeName> {
        let former = self.former.as_ref().filter(|_| !self.filled)?;
        let is_there = seen.get(former).is_some_and(|sighting| sighting.part(part).is_some());
        is_there.then(|| former.clone())
    }
}
