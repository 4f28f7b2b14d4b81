//! The registry: it runs somewhere, and every agent knows where. Whose machine is gone is made on another one that has
//! its image, and goes back if the machine comes back before the new one has what the nodes have.

use std::net::SocketAddr;

use chassis::reconcile::Outcome;
use chassis::records::{self, Stored};
use common::failure::FailureCode;
use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::nodes::Agent;
use common::port::part::{PartFolders, PartRemoval};
use common::port::store::{Op, Version};
use common::record::machine::MachineState;
use rollout::parts::{BasePart, REGISTRY_PORT};

use super::Duties;
use crate::domain::note::Sightings;
use crate::domain::registry::{Candidates, heir};
use crate::domain::sighting::is_ready;
use crate::draft::Order;
use crate::fleet;
use crate::reconcile::bases::{ensure, look_again};
use crate::reconcile::{LATER, SOON, refusal};
use crate::records::{
    Error, Filling, RegistryPlace, commit, filling_path, load, registry_path, save,
};

impl Duties<'_> {
    pub(super) async fn registry(&self) -> Result<Outcome, Error> {
        let Some(described) = &self.0.config.platform else { return Ok(Outcome::Settled) };
        let Some(Stored { record: place, version }) = fleet::registry(self.0).await? else {
            // One that stands where it is described is not filled again: who began the platform filled it.
            let node = described.placement.registry.clone();
            let place = RegistryPlace { filled: true, ..RegistryPlace::at(node) };
            save(self.0, &registry_path(), &place, None).await?;
            return Ok(Outcome::Again(SOON));
        };
        let seen = self.0.sight.all(self.0.config.window);
        let part = BasePart::Registry.name();
        if let Some(former) = place.returned(&part, &seen) {
            tracing::warn!(from = %place.node, to = %former, "the registry goes back to where it was: that one answers first");
            let back = RegistryPlace { without: place.without, ..RegistryPlace::at(former) };
            return self.settle_at(&back, version).await;
        }
        let Some(sighting) = seen.get(&place.node) else { return Ok(Outcome::Again(LATER)) };
        if !sighting.answers() {
            let lost = sighting.silence().is_some_and(|for_| for_ >= self.0.config.registry_after);
            return if lost {
                self.move_on(place, version, &seen).await
            } else {
                Ok(Outcome::Again(LATER))
            };
        }
        let Some(found) = sighting.part(&part) else {
            return self.make_registry(place, version, &part, &seen).await;
        };
        self.tell_agents(&place, &seen).await?;
        if !is_ready(found) {
            return Ok(Outcome::Again(LATER));
        }
        self.remove_others(&place, &part, &seen).await?;
        self.fill(place, version, &seen).await
    }

    /// From now on it is there; what is known of filling another one says nothing of it.
    async fn settle_at(&self, place: &RegistryPlace, version: Version) -> Result<Outcome, Error> {
        let mut changes = vec![records::put(registry_path(), place, Some(version))];
        let filling: Option<Stored<Filling>> = load(self.0, &filling_path()).await?;
        let of_filling = |stored: Stored<Filling>| stored.version;
        let path = filling_path();
        changes.extend(filling.map(of_filling).map(|version| Op::Delete { path, version }));
        commit(self.0, changes).await?;
        Ok(Outcome::Again(SOON))
    }

    /// Its machine is gone, or has not got its image: another one takes it.
    async fn move_on(
        &self,
        place: RegistryPlace,
        version: Version,
        seen: &Sightings,
    ) -> Result<Outcome, Error> {
        let Some(described) = &self.0.config.platform else { return Ok(Outcome::Again(LATER)) };
        if self.0.brakes().machines {
            return Ok(Outcome::Again(LATER));
        }
        let ready = |node: &NodeName| self.0.sight.state(node) == Some(MachineState::Ready);
        let candidates = Candidates {
            platform: described,
            answering: seen
                .iter()
                .filter(|(node, one)| one.answers() && ready(node))
                .map(|(node, _)| node)
                .collect(),
            now: self.0.ports.clock.now(),
        };
        let Some(node) = heir(&place, &candidates) else {
            tracing::warn!(node.id = %place.node, "no other machine has the registry's image");
            return self.wait_for_former(place, version).await;
        };
        tracing::warn!(from = %place.node, to = %node, "the registry is made on another machine");
        let former = place.former.or(Some(place.node)).filter(|former| *former != node);
        let next = RegistryPlace { former, without: place.without, ..RegistryPlace::at(node) };
        self.settle_at(&next, version).await
    }

    /// Nobody can have it: it stays where its data is.
    async fn wait_for_former(
        &self,
        place: RegistryPlace,
        version: Version,
    ) -> Result<Outcome, Error> {
        let Some(former) = place.former else { return Ok(Outcome::Again(LATER)) };
        let back = RegistryPlace { without: place.without, ..RegistryPlace::at(former) };
        self.settle_at(&back, version).await?;
        Ok(Outcome::Again(LATER))
    }

    /// It is not there: a new one has nothing.
    async fn make_registry(
        &self,
        mut place: RegistryPlace,
        version: Version,
        part: &PartName,
        seen: &Sightings,
    ) -> Result<Outcome, Error> {
        place.filled = false;
        let version = save(self.0, &registry_path(), &place, Some(version)).await?;
        let generation = Generation(self.0.issuer().epoch.0);
        let order = Order { part, node: &place.node, generation, image: None, settings: None };
        let Err(failure) = ensure(self.0, &order).await? else {
            return self.settle_at(&place, version).await;
        };
        tracing::warn!(node.id = %place.node, %failure, "the registry could not be made; trying again");
        if failure.code != FailureCode::ImageUnavailable {
            return Ok(Outcome::Again(LATER));
        }
        place.without.insert(place.node.clone(), self.0.ports.clock.now());
        let version = save(self.0, &registry_path(), &place, Some(version)).await?;
        self.move_on(place, version, seen).await
    }

    /// Each agent is told once by each leader, and whenever the registry is elsewhere.
    async fn tell_agents(&self, place: &RegistryPlace, seen: &Sightings) -> Result<(), Error> {
        let Some(Agent { address, .. }) = self.0.sight.agent(&place.node) else { return Ok(()) };
        let registry = SocketAddr::new(address.ip(), REGISTRY_PORT);
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

    /// What came back after the registry was made and filled elsewhere goes, and what stood in for one that came back before,
    /// but for the data: they may have images that no node has any more.
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
}
