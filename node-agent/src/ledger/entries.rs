//! What stands in the ledger, and the rules by which it changes: pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::id::{Epoch, Generation};
use common::name::{ContainerName, PartName};
use common::port::container::ContainerSpec;
use common::port::nodes::{Issuer, Removal};
use common::port::part::{PartRemoval, PartSpec};
use common::service::ServiceName;
use serde::{Deserialize, Serialize};

use super::Change;
use super::book::{Book, Entry, Noted};

/// Why something told is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Conflict {
    #[error("a newer leader has spoken: epoch {seen}")]
    StaleEpoch { issuer: Issuer, seen: Epoch },
    #[error("generation {told} of this name was told before")]
    NewerGeneration { told: Generation },
    #[error("the same epoch and generation were told before with another content")]
    OtherContent,
    #[error("the host port {port} is that of {holder}, which is to run here too")]
    PortHeld { port: u16, holder: ContainerName },
}

/// The form in which it is written. One of before is read, one of after is not.
pub(super) const SCHEMA: u32 = 2;

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
    containers: Book<ContainerName, ContainerSpec>,
    #[serde(default, skip_serializing_if = "Book::is_empty")]
    parts: Book<PartName, PartSpec>,
    /// Where the platform's registry is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry: Option<SocketAddr>,
}

impl Default for Entries {
    fn default() -> Self {
        Entries {
            schema: SCHEMA,
            epochs: BTreeMap::new(),
            restored: None,
            containers: Book::default(),
            parts: Book::default(),
            registry: None,
        }
    }
}

impl Entries {
    /// What a file says, unless it is of a newer form.
    pub(super) fn read(self) -> Result<Self, u32> {
        if self.schema > SCHEMA { Err(self.schema) } else { Ok(Entries { schema: SCHEMA, ..self }) }
    }

    pub(crate) fn containers(&self) -> &Book<ContainerName, ContainerSpec> {
        &self.containers
    }

    pub(crate) fn parts(&self) -> &Book<PartName, PartSpec> {
        &self.parts
    }

    pub(crate) fn registry(&self) -> Option<SocketAddr> {
        self.registry
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
            Some(seen) if *seen > issuer.epoch => Err(Conflict::StaleEpoch { issuer, seen: *seen }),
            Some(seen) if *seen == issuer.epoch => Ok(Change::None),
            Some(_) | None => {
                self.epochs.insert(issuer.service, issuer.epoch);
                Ok(Change::Made)
            }
        }
    }

    /// Takes note of a container that should run. A host port is one container's until that should be gone, be it that it is
    /// not there: after a power cut both would come, and whoever was first would be taken for the other.
    pub(crate) fn note(
        &mut self,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<(Noted<ContainerSpec>, Change), Conflict> {
        let heard = self.hear(issuer)?;
        if let Some(holder) = self.holder_before(spec).filter(|_| !self.has_its_port(spec)) {
            return Err(Conflict::PortHeld { port: spec.host_port, holder });
        }
        let (noted, changed) = self.containers.note(issuer.epoch, spec, self.restored)?;
        Ok((noted, changed.or(heard)))
    }

    /// Takes back a specification that could not be made so, unless something else was told since.
    pub(crate) fn take_back(
        &mut self,
        spec: &ContainerSpec,
        before: Option<Entry<ContainerSpec>>,
    ) -> Change {
        let before = before.filter(|before| self.holder_before(&before.spec).is_none());
        self.containers.take_back(spec, before)
    }

    /// Whether a container has the host port already: agents of before noted two for one.
    fn has_its_port(&self, spec: &ContainerSpec) -> bool {
        let told = self.containers.get(&spec.name());
        told.is_some_and(|told| told.spec.host_port == spec.host_port)
    }

    /// Another container that has its host port.
    fn holder_before(&self, spec: &ContainerSpec) -> Option<ContainerName> {
        let of_port = self.containers.specs().filter(|told| told.host_port == spec.host_port);
        let name = spec.name();
        of_port.map(ContainerSpec::name).find(|holder| *holder != name)
    }

    /// Takes note that a container should be gone; a newer one of the same name stays.
    pub(crate) fn forget(
        &mut self,
        issuer: Issuer,
        removal: &Removal,
    ) -> Result<((), Change), Conflict> {
        let heard = self.hear(issuer)?;
        Ok(((), self.containers.forget(&removal.name, removal.generation).or(heard)))
    }

    /// The same three of parts.
    pub(crate) fn note_part(
        &mut self,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<(Noted<PartSpec>, Change), Conflict> {
        let heard = self.hear(issuer)?;
        let (noted, changed) = self.parts.note(issuer.epoch, spec, None)?;
        Ok((noted, changed.or(heard)))
    }

    pub(crate) fn take_back_part(
        &mut self,
        spec: &PartSpec,
        before: Option<Entry<PartSpec>>,
    ) -> Change {
        self.parts.take_back(spec, before)
    }

    pub(crate) fn forget_part(
        &mut self,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<((), Change), Conflict> {
        let heard = self.hear(issuer)?;
        Ok(((), self.parts.forget(&removal.name, removal.generation).or(heard)))
    }

    /// Takes note of where the registry is.
    pub(crate) fn set_registry(
        &mut self,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<((), Change), Conflict> {
        let heard = self.hear(issuer)?;
        let moved = if self.registry == Some(registry) { Change::None } else { Change::Made };
        self.registry = Some(registry);
        Ok(((), moved.or(heard)))
    }
}

#[cfg(test)]
mod tests;
