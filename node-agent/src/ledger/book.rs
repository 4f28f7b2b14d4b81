//! [`Book`]: what should run of one kind, and the rules by which that changes: pure.

use std::collections::BTreeMap;

use common::id::{Epoch, Generation};
use common::name::{ContainerName, PartName};
use common::port::container::ContainerSpec;
use common::port::part::PartSpec;
use serde::{Deserialize, Serialize};

use super::{Change, Conflict};

/// What can be told to run.
pub(crate) trait Wanted: Clone + PartialEq {
    type Name: Clone + Ord;

    fn name(&self) -> Self::Name;

    fn generation(&self) -> Generation;
}

impl Wanted for ContainerSpec {
    type Name = ContainerName;

    fn name(&self) -> ContainerName {
        ContainerSpec::name(self)
    }

    fn generation(&self) -> Generation {
        self.generation
    }
}

impl Wanted for PartSpec {
    type Name = PartName;

    fn name(&self) -> PartName {
        self.name.clone()
    }

    fn generation(&self) -> Generation {
        self.generation
    }
}

/// What should run, and who said so last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry<S> {
    pub(crate) epoch: Epoch,
    pub(crate) spec: S,
}

/// What taking a specification changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted<S> {
    /// It stood there already.
    Same,
    /// It is new, or took the place of `before`.
    New { before: Option<Entry<S>> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Book<N: Ord, S> {
    entries: BTreeMap<N, Entry<S>>,
}

impl<N: Ord, S> Default for Book<N, S> {
    fn default() -> Self {
        Book { entries: BTreeMap::new() }
    }
}

impl<N: Clone + Ord, S: Wanted<Name = N>> Book<N, S> {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get(&self, name: &N) -> Option<&Entry<S>> {
        self.entries.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &N> {
        self.entries.keys()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Entry<S>> {
        self.entries.values()
    }

    pub(crate) fn specs(&self) -> impl Iterator<Item = &S> {
        self.all().map(|entry| &entry.spec)
    }

    /// Takes note of what should run. Generations that were told in or before `restored` count no more.
    pub(super) fn note(
        &mut self,
        epoch: Epoch,
        spec: &S,
        restored: Option<Epoch>,
    ) -> Result<(Noted<S>, Change), Conflict> {
        let before = self.entries.get(&spec.name()).cloned();
        if let Some(told) = &before {
            let is_comparable = Some(told.epoch) > restored;
            if is_comparable && told.spec.generation() > spec.generation() {
                return Err(Conflict::NewerGeneration { told: told.spec.generation() });
            }
            if told.spec == *spec && told.epoch == epoch {
                return Ok((Noted::Same, Change::None));
            }
            let same_word = (told.epoch, told.spec.generation()) == (epoch, spec.generation());
            // Epoch 0 is that of who speaks before anybody leads: there the last word counts.
            if same_word && epoch > Epoch(0) {
                return Err(Conflict::OtherContent);
            }
        }
        let same_content = before.as_ref().is_some_and(|told| told.spec == *spec);
        self.entries.insert(spec.name(), Entry { epoch, spec: spec.clone() });
        let noted = if same_content { Noted::Same } else { Noted::New { before } };
        Ok((noted, Change::Made))
    }

    /// Takes back a specification that could not be made so, unless something else was told since.
    pub(super) fn take_back(&mut self, spec: &S, before: Option<Entry<S>>) -> Change {
        let name = spec.name();
        if self.entries.get(&name).is_none_or(|told| told.spec != *spec) {
            return Change::None;
        }
        match before {
            Some(before) => self.entries.insert(name, before),
            None => self.entries.remove(&name),
        };
        Change::Made
    }

    /// Takes note that something should be gone; what is newer than `generation` stays.
    pub(super) fn forget(&mut self, name: &N, generation: Generation) -> Change {
        let told = self.entries.get(name);
        if told.is_some_and(|told| told.spec.generation() <= generation) {
            self.entries.remove(name);
            return Change::Made;
        }
        Change::None
    }
}
