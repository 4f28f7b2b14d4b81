//! The registry: it runs somewhere, every agent knows where, and one that was made anew is filled from what the nodes
//! have.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chassis::reconcile::Outcome;
use chassis::records::Stored;
use common::digest::ImageRef;
use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::nodes::{self, Agent};
use common::port::part::{PartFolders, PartImage, PartRemoval};
use common::port::store::Version;
use common::record::machine::MachineState;
use rollout::parts::BasePart;

use super::Duties;
use crate::domain::note::Sightings;
use crate::domain::sighting::is_ready;
use crate::draft::Order;
use crate::fleet;
use crate::reconcile::bases::{ensure, look_again};
use crate::reconcile::{LATER, SOON, refusal};
use crate::records::{Error, RegistryPlace, registry_path, save};

/// Where it listens, on its node's own address.
const PORT: u16 = 5000;

impl Duties<'_> {
    pub(super) async fn registry(&self) -> Result<Outcome, Error> {
        let Some(described) = &self.0.config.platform else { return Ok(Outcome::Settled) };
        let Some(Stored { record: place, version }) = fleet::registry(self.0).await? else {
            // One that stands where it is described is not filled again: who began the platform filled it.
            let node = described.placement.registry.clone();
            let place = RegistryPlace { schema: 1, node, filled: true };
            save(self.0, &registry_path(), &place, None).await?;
            return Ok(Outcome::Again(SOON));
        };
        let seen = self.0.sight.all(self.0.config.window);
        let part = BasePart::Registry.name();
        let Some(sighting) = seen.get(&place.node) else { return Ok(Outcome::Again(LATER)) };
        if !sighting.answers() {
            let lost = sighting.silence().is_some_and(|for_| for_ >= self.0.config.registry_after);
            let moved = lost && self.move_on(&place, version, &seen).await?;
            return Ok(Outcome::Again(if moved { SOON } else { LATER }));
        }
        let Some(found) = sighting.part(&part) else {
            return self.make_registry(place, version, &part).await;
        };
        self.tell_agents(&place, &seen).await?;
        if place.filled {
            self.remove_others(&place, &part, &seen).await?;
        } else if is_ready(found) {
            return self.fill(place, version, &seen).await;
        }
        Ok(Outcome::Again(LATER))
    }

    /// Its machine is gone: another one takes it.
    async fn move_on(
        &self,
        place: &RegistryPlace,
        version: Version,
        seen: &Sightings,
    ) -> Result<bool, Error> {
        if self.0.brakes().machines {
            return Ok(false);
        }
        let ready = |node: &&NodeName| self.0.sight.state(node) == Some(MachineState::Ready);
        let answering = seen.iter().filter(|(_, one)| one.answers()).map(|(node, _)| node);
        let Some(node) = answering.clone().find(|node| ready(node)) else { return Ok(false) };
        tracing::warn!(from = %place.node, to = %node, "the registry is made on another machine");
        let next = RegistryPlace { node: node.clone(), filled: false, ..place.clone() };
        save(self.0, &registry_path(), &next, Some(version)).await?;
        Ok(true)
    }

    /// It is not there: a new one has nothing.
    async fn make_registry(
        &self,
        place: RegistryPlace,
        version: Version,
        part: &PartName,
    ) -> Result<Outcome, Error> {
        let place = RegistryPlace { filled: false, ..place };
        save(self.0, &registry_path(), &place, Some(version)).await?;
        let generation = Generation(self.0.issuer().epoch.0);
        let order = Order { part, node: &place.node, generation, image: None };
        match ensure(self.0, &order).await? {
            Ok(()) => Ok(Outcome::Again(SOON)),
            Err(failure) => {
                tracing::warn!(node.id = %place.node, %failure, "the registry could not be made; trying again");
                Ok(Outcome::Again(LATER))
            }
        }
    }

    /// Each agent is told once by each leader, and whenever the registry is elsewhere.
    async fn tell_agents(&self, place: &RegistryPlace, seen: &Sightings) -> Result<(), Error> {
        let Some(Agent { address, .. }) = self.0.sight.agent(&place.node) else { return Ok(()) };
        let registry = SocketAddr::new(address.ip(), PORT);
        for (node, _) in seen.iter().filter(|(_, one)| one.answers()) {
            let Some(agent) = self.0.sight.agent(node) else { continue };
            if self.0.knows_registry(node) == Some(registry) {
                continue;
            }
            let told = self.0.ports.parts.registry_at(&agent, self.0.issuer(), registry).await;
            match told {
                Ok(()) => self.0.told_registry(node, registry),
                Err(err) => {
                    let failure = refusal(self.0, node, err).await?;
                    tracing::warn!(node.id = %node, %failure, "an agent does not know where the registry is");
                }
            }
        }
        Ok(())
    }

    /// What came back after the registry was made and filled elsewhere goes, but for its data: it may have images
    /// that no node has any more.
    async fn remove_others(
        &self,
        place: &RegistryPlace,
        part: &PartName,
        seen: &Sightings,
    ) -> Result<(), Error> {
        for (node, sighting) in seen.iter().filter(|(node, _)| **node != place.node) {
            let Some(found) = sighting.part(part) else { continue };
            let Some(agent) = self.0.sight.agent(node) else { continue };
            let (name, generation) = (part.clone(), found.generation);
            let removal = PartRemoval { name, generation, data: PartFolders::Keep };
            let removed = self.0.ports.parts.remove_part(&agent, self.0.issuer(), &removal).await;
            match removed {
                Ok(()) => look_again(self.0, &agent).await,
                Err(err) => {
                    let failure = refusal(self.0, node, err).await?;
                    tracing::warn!(node.id = %node, %failure, "a registry that is not wanted is still there");
                }
            }
        }
        Ok(())
    }

    /// Every image that any node has by the registry's name.
    async fn fill(
        &self,
        place: RegistryPlace,
        version: Version,
        seen: &Sightings,
    ) -> Result<Outcome, Error> {
        let mut holders: BTreeMap<ImageRef, Agent> = BTreeMap::new();
        for node in seen.iter().filter(|(_, one)| one.answers()).map(|(node, _)| node) {
            let Some(agent) = self.0.sight.agent(node) else { continue };
            match self.0.ports.parts.images(&agent).await {
                Ok(images) => {
                    for image in images {
                        holders.entry(image).or_insert_with(|| agent.clone());
                    }
                }
                Err(err) => return self.not_filled(node, err).await,
            }
        }
        for (image, agent) in &holders {
            let repository = image.repository();
            let path = repository.split_once('/').map_or(repository, |(_, path)| path);
            let (parts, issuer) = (self.0.ports.parts.as_ref(), self.0.issuer());
            let named = PartImage::Named(image.clone());
            if let Err(err) = parts.push_image(agent, issuer, &named, path).await {
                return self.not_filled(&agent.node, err).await;
            }
        }
        tracing::info!(images = holders.len(), "the registry has what the nodes have");
        let place = RegistryPlace { filled: true, ..place };
        save(self.0, &registry_path(), &place, Some(version)).await?;
        Ok(Outcome::Again(LATER))
    }

    async fn not_filled(&self, node: &NodeName, err: nodes::Error) -> Result<Outcome, Error> {
        let failure = refusal(self.0, node, err).await?;
        tracing::warn!(node.id = %node, %failure, "the registry is not filled yet; trying again");
        Ok(Outcome::Again(LATER))
    }
}
