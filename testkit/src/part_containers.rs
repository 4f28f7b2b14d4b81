//! A simulated container engine for parts of the platform: [`MemoryPartContainers`].
//!
//! It keeps the port's contract and has the faults of a real engine: images that are missing, names that others hold, a
//! full disk, silence. A test says when a process ends or prints something, and whether it is healthy is not its business.

mod engine;
mod port;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::name::PartName;
use common::port::Clock;
use common::port::container::ContainerState;
use common::port::part::{Part, PartImage};
use common::port::part_containers::{PartEvent, PartSite};
use tokio::sync::broadcast;

use crate::containers::{Health, MemoryRegistry};
use engine::Engine;
pub use engine::Pushing;

/// How many events a slow reader may be behind; then it is told to list again.
const EVENTS: usize = 256;

/// A container engine for parts, in memory. Clones are the same engine.
#[derive(Debug, Clone)]
pub struct MemoryPartContainers {
    clock: Arc<dyn Clock>,
    registry: MemoryRegistry,
    engine: Arc<Mutex<Engine>>,
    events: broadcast::Sender<PartEvent>,
}

impl MemoryPartContainers {
    /// `registry`: what images can be fetched from, shared by the engines of several machines.
    pub fn new(clock: Arc<dyn Clock>, registry: MemoryRegistry) -> Self {
        let (events, _) = broadcast::channel(EVENTS);
        MemoryPartContainers { clock, registry, engine: Arc::default(), events }
    }

    /// Makes an image present without fetching it.
    pub fn place_image(&self, image: &PartImage) {
        self.engine().place(image);
    }

    /// An image is removed, not by the platform.
    pub fn lose_image(&self, image: &PartImage) {
        self.engine().lose(image);
    }

    /// What becomes of pushes of this image from now on.
    pub fn set_pushing(&self, image: &PartImage, pushing: Pushing) {
        let mut engine = self.engine();
        engine.pushes.retain(|(pushed, _)| pushed != image);
        engine.pushes.push((image.clone(), pushing));
    }

    /// How the engine behaves from now on. Coming back tells readers of events to list again.
    pub fn set_health(&self, health: Health) {
        let before = std::mem::replace(&mut self.engine().health, health);
        if before == Health::Down && health == Health::Answers {
            self.tell(PartEvent::Resync);
        }
    }

    /// Someone else's container has the name that this part's container would have.
    pub fn occupy_name(&self, name: &PartName) {
        self.engine().foreign_names.insert(name.clone());
    }

    /// From now on, containers of this part cannot be started, for this reason; none for those that can.
    pub fn refuse_to_start(&self, name: &PartName, why: Option<&str>) {
        let mut engine = self.engine();
        match why {
            Some(why) => engine.refusals.insert(name.clone(), why.to_owned()),
            None => engine.refusals.remove(name),
        };
    }

    /// The next time that this part is to be ended, it does not end.
    pub fn fail_to_end_once(&self, name: &PartName) {
        self.engine().unended.insert(name.clone());
    }

    /// The part's process ends with this code.
    pub fn exit(&self, name: &PartName, code: i64) {
        let at = self.clock.now();
        let ended =
            self.engine().exit(name, ContainerState::Exited { code, out_of_memory: false, at });
        if ended {
            self.tell(PartEvent::Changed(name.clone()));
        }
    }

    /// The part's process writes a line.
    pub fn print(&self, name: &PartName, line: &str) {
        self.engine().print(name, line);
    }

    /// The machine loses power and comes back: all containers are there, none runs.
    pub fn reboot(&self) {
        let at = self.clock.now();
        for part in self.parts() {
            let ended = ContainerState::Exited { code: 255, out_of_memory: false, at };
            self.engine().exit(&part.name, ended);
        }
        self.tell(PartEvent::Resync);
    }

    /// All containers of parts, whatever the engine's health: what a test compares with.
    pub fn parts(&self) -> Vec<Part> {
        self.engine().kept.values().map(|kept| kept.part.clone()).collect()
    }

    /// Where a part's container lives.
    pub fn site(&self, name: &PartName) -> Option<PartSite> {
        self.engine().kept.get(name).map(|kept| kept.site.clone())
    }

    /// How often a container of this part was started.
    pub fn starts(&self, name: &PartName) -> u32 {
        self.engine().starts.get(name).copied().unwrap_or_default()
    }

    /// Somebody removed every image that was built here, the containers of which do not run.
    pub fn forget_built(&self) {
        self.engine().built.clear();
    }

    /// How often something was built, or was tried to be.
    pub fn builds(&self) -> u32 {
        self.engine().builds
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: PartEvent) {
        // Without readers there is nobody to tell.
        drop(self.events.send(event));
    }
}
