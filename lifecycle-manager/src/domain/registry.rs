//! Where the registry should be, once its machine is gone.

use std::collections::BTreeSet;
use std::time::Duration;

use common::name::{NodeName, PartName};
use jiff::Timestamp;
use rollout::platform::{Component, Platform};

use super::note::Sightings;
use super::sighting::Sighting;
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

/// So long a machine that is away is waited for, before the registry counts as filled without what it has.
const AWAITED: Duration = Duration::from_mins(10);

/// Whether it has what all nodes have that can be expected to answer soon. Those that are left are asked when they do.
pub(crate) fn is_whole(
    place: &RegistryPlace,
    asked: &BTreeSet<NodeName>,
    seen: &Sightings,
) -> bool {
    let is_awaited = |(node, sighting): (&NodeName, &Sighting)| {
        let is_away = sighting.silence().is_some_and(|lasts| lasts >= AWAITED);
        // Where it was before nobody has answered for long already.
        !is_away && place.former.as_ref() != Some(node)
    };
    seen.iter().filter(|one| is_awaited(*one)).all(|(node, _)| asked.contains(node))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_whole_when_all_were_asked_but_those_that_are_away_for_long() {
        let name = |node: &str| -> NodeName { node.parse().unwrap() };
        let silent = |minutes| Sighting::Silent { lasting: Duration::from_mins(minutes) };
        let answers = Sighting::Answers { parts: Vec::new() };
        for (other, whole) in [
            (answers.clone(), false),
            (Sighting::Unknown, false),
            (silent(9), false),
            (silent(10), true),
        ] {
            let seen: Sightings = [(name("a"), answers.clone()), (name("b"), other.clone())].into();
            let place = RegistryPlace::at(name("a"));
            assert_eq!(is_whole(&place, &[name("a")].into(), &seen), whole, "{other:?}");
            assert!(is_whole(&place, &[name("a"), name("b")].into(), &seen));
            let moved = RegistryPlace { former: Some(name("b")), ..place };
            assert!(is_whole(&moved, &[name("a")].into(), &seen));
        }
    }
}
