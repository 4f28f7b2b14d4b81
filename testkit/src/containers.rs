//! A simulated container engine: [`MemoryContainers`].
//!
//! It keeps the port's contract and has the faults of a real engine: images that are missing, ports
//! and names that others hold, a full disk, silence. It never simulates what runs inside a
//! container: a test says when a process ends or prints something.

mod engine;
mod port;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::digest::ImageRef;
use common::name::ContainerName;
use common::port::Clock;
use common::port::container::{Container, ContainerState};
use common::port::containers::Event;
use tokio::sync::broadcast;

use engine::Engine;

/// How many events a slow reader may be behind; then it is told to list again.
const EVENTS: usize = 256;

/// The images that can be pulled: shared by the engines of several nodes.
#[derive(Debug, Clone, Default)]
pub struct MemoryRegistry {
    images: Arc<Mutex<BTreeSet<ImageRef>>>,
    /// Those among all that ever were that the platform built.
    built: Arc<Mutex<BTreeSet<ImageRef>>>,
}

impl MemoryRegistry {
    /// From now on the image can be pulled.
    pub fn offer(&self, image: &ImageRef) {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).insert(image.clone());
    }

    /// From now on an image that the platform built can be pulled.
    pub fn offer_built(&self, image: &ImageRef) {
        self.built.lock().unwrap_or_else(PoisonError::into_inner).insert(image.clone());
        self.offer(image);
    }

    pub(crate) fn is_built(&self, image: &ImageRef) -> bool {
        self.built.lock().unwrap_or_else(PoisonError::into_inner).contains(image)
    }

    /// From now on the image cannot be pulled.
    pub fn withdraw(&self, image: &ImageRef) {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).remove(image);
    }

    pub fn has(&self, image: &ImageRef) -> bool {
        self.images.lock().unwrap_or_else(PoisonError::into_inner).contains(image)
    }
}

/// A container engine in memory. Clones are the same engine.
#[derive(Debug, Clone)]
pub struct MemoryContainers {
    clock: Arc<dyn Clock>,
    registry: MemoryRegistry,
    engine: Arc<Mutex<Engine>>,
    events: broadcast::Sender<Event>,
}

/// What an engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    /// It refuses every call.
    Down,
    /// Its disk has no space left: nothing new can be made.
    Full,
    /// It takes calls and never answers.
    Silent,
}

impl MemoryContainers {
    pub fn new(clock: Arc<dyn Clock>, registry: MemoryRegistry) -> Self {
        let (events, _) = broadcast::channel(EVENTS);
        MemoryContainers { clock, registry, engine: Arc::default(), events }
    }

    /// Makes an image present without a pull.
    pub fn place_image(&self, image: &ImageRef) {
        self.engine().images.insert(image.clone());
    }

    /// The disk has room for so many images from now on.
    pub fn set_room(&self, images: usize) {
        self.engine().room = Some(images);
    }

    /// The engine answers so many calls from now on, and then refuses; all of them, if nothing is said.
    pub fn answer_only(&self, calls: Option<u32>) {
        self.engine().calls_left = calls;
    }

    /// An image of the platform's takes so much of the disk.
    pub fn set_image_bytes(&self, image: &ImageRef, bytes: u64) {
        for own in self.engine().own_images.iter_mut().filter(|own| own.image == *image) {
            own.bytes = bytes;
        }
    }

    /// How the engine behaves from now on. Coming back tells readers of events to list again.
    pub fn set_health(&self, health: Health) {
        let before = std::mem::replace(&mut self.engine().health, health);
        if before == Health::Down && health == Health::Answers {
            self.tell(Event::Resync);
        }
    }

    /// Someone else's process listens on a port of the machine.
    pub fn occupy_port(&self, port: u16) {
        self.engine().foreign_ports.insert(port);
    }

    pub fn free_port(&self, port: u16) {
        self.engine().foreign_ports.remove(&port);
    }

    /// Someone else's container has this name.
    pub fn occupy_name(&self, name: &ContainerName) {
        self.engine().foreign_names.insert(name.clone());
    }

    /// The container's process ends with this code.
    pub fn exit(&self, name: &ContainerName, code: i64) {
        self.end(name, code, false);
    }

    /// The kernel ends the container's process for taking too much memory.
    pub fn exit_out_of_memory(&self, name: &ContainerName) {
        self.end(name, 137, true);
    }

    fn end(&self, name: &ContainerName, code: i64, out_of_memory: bool) {
        let at = self.clock.now();
        let ended = self.engine().exit(name, ContainerState::Exited { code, out_of_memory, at });
        if ended {
            self.tell(Event::Exited(name.clone()));
        }
    }

    /// Containers of this image write a line whenever they start.
    pub fn greet(&self, image: &ImageRef, line: &str) {
        self.engine().greetings.insert(image.clone(), line.to_owned());
    }

    /// The container's process writes a line.
    pub fn print(&self, name: &ContainerName, line: &str) {
        self.engine().print(name, line);
    }

    /// The machine loses power and comes back: all containers are there, none runs.
    pub fn reboot(&self) {
        let at = self.clock.now();
        let names: Vec<ContainerName> = self.engine().containers.keys().cloned().collect();
        let ended = ContainerState::Exited { code: 255, out_of_memory: false, at };
        for name in names {
            self.engine().exit(&name, ended.clone());
        }
        self.tell(Event::Resync);
    }

    /// All containers, whatever the engine's health: what a test compares with.
    pub fn containers(&self) -> Vec<Container> {
        self.engine().containers.values().map(|kept| kept.container.clone()).collect()
    }

    /// How often a container of this name was started.
    pub fn starts(&self, name: &ContainerName) -> u32 {
        self.engine().starts.get(name).copied().unwrap_or_default()
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // Without readers there is nobody to tell.
        drop(self.events.send(event));
    }
}
