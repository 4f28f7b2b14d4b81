//! What lifecycle managers of a world do with another image of the base that they were given.

use common::digest::Digest;
use common::id::Epoch;
use common::name::{NodeName, PartName};
use common::port::Parts as _;
use common::port::nodes::{Agent, Issuer};
use common::port::part::PartImage;
use common::service::ServiceName;
use rollout::parts::{BasePart, Credentials};
use rollout::platform::Component;

use crate::agents::{AgentsOnMachines, GIVEN};
use crate::files::described;
use crate::given::MANAGERS;
use crate::world::{FILE, World};

/// The image that a name stands for, in every engine of the world.
pub(crate) fn image(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

pub(crate) fn own_image() -> Digest {
    image(&described(FILE).unwrap().images.names[&Component::Platform])
}

pub(crate) fn node(number: u8) -> NodeName {
    format!("node-{number}").parse().unwrap()
}

/// The services of the base, in the order in which they are replaced.
pub(crate) fn services() -> impl Iterator<Item = (u8, PartName)> {
    let parts = [BasePart::LifecycleManager, BasePart::PlatformInitializer].map(BasePart::name);
    MANAGERS.into_iter().flat_map(move |number| parts.clone().map(|part| (number, part)))
}

impl World {
    /// What the lifecycle manager of a machine was given while it ran.
    pub(crate) fn given(&self, number: u8) -> Option<Credentials> {
        if !self.is_there(&node(number)) {
            return None;
        }
        let address = format!("192.0.2.1{number}");
        let file = self.hosts.with(&address, |system| system.files.get(GIVEN).cloned())?;
        Some(serde_json::from_slice(&file.bytes).unwrap())
    }

    pub(crate) fn image_of(&self, number: u8, part: &PartName) -> Digest {
        let brought = match self.parts.told(&node(number), part).unwrap().image {
            PartImage::Id(id) => Some(id),
            PartImage::Named(_) | PartImage::Built(_) => None,
        };
        brought.unwrap()
    }

    fn is_healthy(&self, number: u8, part: &PartName) -> bool {
        let parts = self.parts.parts_of(&node(number));
        parts.iter().any(|one| one.name == *part && one.healthy == Some(true))
    }
}

impl AgentsOnMachines {
    /// Where all were given the same, one service of the base is replaced that runs from another image, if no other is ill.
    pub(crate) async fn replace_one(&self) {
        let world = &self.world;
        // One that is given something ends, and so the last one that was given it leads no more.
        let [first, last] =
            MANAGERS.map(|number| world.given(number).map(|given| given.configured.base));
        let Some(wanted) = first.clone().filter(|_| first == last) else { return };
        let wanted = wanted.unwrap_or_else(own_image);
        let is_other = |one: &(u8, PartName)| world.image_of(one.0, &one.1) != wanted;
        let others_stand = |one: &(u8, PartName)| {
            services().all(|other| other == *one || world.is_healthy(other.0, &other.1))
        };
        let turn = services().find(|one| is_other(one) && others_stand(one));
        let Some((number, part)) = turn else { return };
        let address = format!("192.0.2.1{number}:7443").parse().unwrap();
        let agent = Agent { node: node(number), address };
        let mut spec = world.parts.told(&agent.node, &part).unwrap();
        spec.image = PartImage::Id(wanted.clone());
        spec.generation = spec.generation.next();
        self.load(&agent, &spec.image);
        let leader = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
        world.parts.ensure_part(&agent, leader, &spec).await.unwrap();
        let is_bad = world.bad.lock().unwrap().contains(&wanted);
        world.parts.set_healthy(&agent.node, &part, !is_bad);
        self.note(&agent);
    }
}
