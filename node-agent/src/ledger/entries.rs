//! What stands in the ledger, and the rules by which it changes: pure.

use std::collections::BTreeMap;

use common::id::{Epoch, Generation};
use common::name::ContainerName;
use common::port::container::ContainerSpec;
use common::port::nodes::{Issuer, Removal};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::Change;

/// Why something told is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Conflict {
    #[error("a newer leader has spoken: epoch {seen}")]
    StaleEpoch { seen: Epoch },
    #[error("generation {told} of this container was told before")]
    NewerGeneration { told: Generation },
    #[error("the same epoch and generation were told before with another content")]
    OtherContent,
}

/// A container that should run, and who said so last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) epoch: Epoch,
    pub(crate) spec: ContainerSpec,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entries {
    schema: u32,
    /// The highest epoch heard of each service.
    epochs: BTreeMap<ServiceName, Epoch>,
    /// The last epoch that told of containers before another store was accepted. Generations of before are not
    /// to be compared with those of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restored: Option<Epoch>,
    containers: BTreeMap<ContainerName, Entry>,
}

impl Default for Entries {
    fn default() -> Self {
        Entries { schema: 1, epochs: BTreeMap::new(), restored: None, containers: BTreeMap::new() }
    }
}

/// What taking a specification changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It stood there already.
    Same,
    /// It is new, or took the place of `before`.
    New { before: Option<Entry> },
}

impl Entries {
    pub(crate) fn get(&self, name: &ContainerName) -> Option<&Entry> {
        self.containers.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &ContainerName> {
        self.containers.keys()
    }

    pub(crate) fn specs(&self) -> impl Iterator<Item = &ContainerSpec> {
        self.containers.values().map(|entry| &entry.spec)
    }

    /// The highest epoch heard of each service.
    pub(crate) fn heard(&self) -> &BTreeMap<ServiceName, Epoch> {
        &self.epochs
    }

    /// Takes note that from now on another store has the word: whoever leads in it begins after `epoch`.
    pub(crate) fn accept_restore(&mut self, epoch: Epoch) -> Change {
        let restored = self.restored.max(Some(epoch));
        let changed = if restored == self.restored { Change::None } else { Change::Made };
        self.restored = restored;
        changed
    }

    /// Takes note of who speaks; refuses who is not the latest leader of its service.
    pub(crate) fn hear(&mut self, issuer: Issuer) -> Result<Change, Conflict> {
        match self.epochs.get(&issuer.service) {
            Some(seen) if *seen > issuer.epoch => Err(Conflict::StaleEpoch { seen: *seen }),
            Some(seen) if *seen == issuer.epoch => Ok(Change::None),
            Some(_) | None => {
                self.epochs.insert(issuer.service, issuer.epoch);
                Ok(Change::Made)
            }
        }
    }

    /// Takes note of a container that should run.
    pub(crate) fn note(
        &mut self,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<(Noted, Change), Conflict> {
        let heard = self.hear(issuer)?;
        let name = spec.name();
        let before = self.containers.get(&name).cloned();
        if let Some(told) = &before {
            let is_comparable = Some(told.epoch) > self.restored;
            if is_comparable && told.spec.generation > spec.generation {
                return Err(Conflict::NewerGeneration { told: told.spec.generation });
            }
            if told.spec == *spec && told.epoch == issuer.epoch {
                return Ok((Noted::Same, heard));
            }
            let same_word = (told.epoch, told.spec.generation) == (issuer.epoch, spec.generation);
            if same_word {
                return Err(Conflict::OtherContent);
            }
        }
        let same_content = before.as_ref().is_some_and(|told| told.spec == *spec);
        self.containers.insert(name, Entry { epoch: issuer.epoch, spec: spec.clone() });
        let noted = if same_content { Noted::Same } else { Noted::New { before } };
        Ok((noted, Change::Made))
    }

    /// Takes back a specification that could not be made so, unless something else was told since.
    pub(crate) fn take_back(&mut self, spec: &ContainerSpec, before: Option<Entry>) -> Change {
        let name = spec.name();
        if self.containers.get(&name).is_none_or(|told| told.spec != *spec) {
            return Change::None;
        }
        match before {
            Some(before) => self.containers.insert(name, before),
            None => self.containers.remove(&name),
        };
        Change::Made
    }

    /// Takes note that a container should be gone; a newer one of the same name stays.
    pub(crate) fn forget(
        &mut self,
        issuer: Issuer,
        removal: &Removal,
    ) -> Result<((), Change), Conflict> {
        let heard = self.hear(issuer)?;
        let told = self.containers.get(&removal.name);
        if told.is_some_and(|told| told.spec.generation <= removal.generation) {
            self.containers.remove(&removal.name);
            return Ok(((), Change::Made));
        }
        Ok(((), heard))
    }
}

#[cfg(test)]
mod tests;
