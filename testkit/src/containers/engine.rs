//! What the simulated engine holds, and the rules by which it changes.

use std::collections::{BTreeMap, BTreeSet};

use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::ContainerName;
use common::port::container::{Container, ContainerSpec, ContainerState};
use common::port::containers::Error;
use common::port::disk::{Kind, Removed, StoredImage};
use jiff::Timestamp;

use super::Health;

/// How many lines of output are kept of each container.
const LINES: usize = 1000;

/// How large every image is.
const IMAGE_BYTES: u64 = 100 * 1024 * 1024;

/// Process ids start above what Linux gives out, so that none of them is real.
const FIRST_PROCESS: u32 = 5_000_000;

#[derive(Debug, Default)]
pub(super) struct Engine {
    pub(super) health: Health,
    pub(super) images: BTreeSet<ImageRef>,
    /// What the platform built, the oldest first.
    pub(super) own_images: Vec<Own>,
    /// How many images the disk has room for; without it, for all.
    pub(super) room: Option<usize>,
    /// How many calls are answered before it is down; without it, all are.
    pub(super) calls_left: Option<u32>,
    /// The image that was built last under a repository.
    pub(super) built: BTreeMap<String, Digest>,
    pub(super) containers: BTreeMap<ContainerName, Kept>,
    pub(super) foreign_names: BTreeSet<ContainerName>,
    pub(super) foreign_ports: BTreeSet<u16>,
    pub(super) greetings: BTreeMap<ImageRef, String>,
    pub(super) starts: BTreeMap<ContainerName, u32>,
    made: u32,
}

/// An image that the platform built.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) image: ImageRef,
    pub(super) bytes: u64,
    created: Timestamp,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) container: Container,
    pub(super) output: Vec<String>,
    pub(super) process: u32,
}

/// Whether a call started a process.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Started,
    Nothing,
}

impl Engine {
    pub(super) fn ensure_running(
        &mut self,
        spec: &ContainerSpec,
        epoch: Epoch,
        now: Timestamp,
    ) -> Result<(Container, Effect), Error> {
        let name = spec.name();
        if self.foreign_names.contains(&name) {
            return Err(Error::Foreign(name));
        }
        let hash = spec.hash();
        let same = self.containers.get(&name).filter(|kept| kept.container.spec_hash == hash);
        if let Some(kept) = same
            && matches!(kept.container.state, ContainerState::Running { .. })
        {
            return Ok((kept.container.clone(), Effect::Nothing));
        }
        if same.is_none() {
            if !self.images.contains(&spec.image) {
                let source = "no such image".into();
                return Err(Error::ImageUnavailable { image: spec.image.to_string(), source });
            }
            if self.health == Health::Full {
                return Err(Error::Full("no space left on device".into()));
            }
            self.containers.remove(&name);
        }
        if self.port_is_taken(spec.host_port, &name) {
            self.containers.remove(&name);
            return Err(Error::PortTaken { port: spec.host_port });
        }
        let container = self.start(spec, hash, epoch, now);
        if let Some(line) = self.greetings.get(&spec.image).cloned() {
            self.print(&name, &line);
        }
        Ok((container, Effect::Started))
    }

    fn start(
        &mut self,
        spec: &ContainerSpec,
        hash: String,
        epoch: Epoch,
        now: Timestamp,
    ) -> Container {
        let name = spec.name();
        *self.starts.entry(name.clone()).or_default() += 1;
        let state = ContainerState::Running { since: now };
        if let Some(kept) = self.containers.get_mut(&name) {
            kept.container.state = state;
            return kept.container.clone();
        }
        self.made += 1;
        let container = Container {
            name: name.clone(),
            id: format!("{:064x}", self.made),
            instance: spec.instance.clone(),
            slot: spec.slot,
            generation: spec.generation,
            image: spec.image.clone(),
            epoch,
            host_port: spec.host_port,
            spec_hash: hash,
            state,
        };
        let process = FIRST_PROCESS + self.made;
        let kept = Kept { container: container.clone(), output: Vec::new(), process };
        self.containers.insert(name, kept);
        container
    }

    /// What the next call meets.
    pub(super) fn health_of_call(&mut self) -> Health {
        let Some(left) = &mut self.calls_left else { return self.health };
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                self.health
            }
            None => Health::Down,
        }
    }

    /// Whether one image more does not fit.
    pub(super) fn is_full(&self) -> bool {
        self.health == Health::Full || self.room.is_some_and(|room| self.images.len() >= room)
    }

    /// The platform's own image is here from now on.
    pub(super) fn own(&mut self, image: &ImageRef, now: Timestamp) {
        self.images.insert(image.clone());
        if !self.own_images.iter().any(|own| own.image == *image) {
            self.own_images.push(Own { image: image.clone(), bytes: IMAGE_BYTES, created: now });
        }
    }

    pub(super) fn stored_images(&self) -> Vec<StoredImage> {
        let mut stored: Vec<StoredImage> = Vec::new();
        for own in &self.own_images {
            let own = self.stored(own);
            // The same content is one image, whatever it is called.
            match stored.iter_mut().find(|stored| stored.id == own.id) {
                Some(stored) => {
                    stored.repository = own.repository;
                    stored.names.extend(own.names);
                    stored.containers.extend(own.containers);
                }
                None => stored.push(own),
            }
        }
        stored
    }

    fn stored(&self, own: &Own) -> StoredImage {
        let repository = own.image.repository();
        let short = repository.split_once('/').filter(|(host, _)| host.contains(['.', ':']));
        StoredImage {
            id: own.image.digest().clone(),
            kind: Kind::Image,
            names: vec![own.image.clone()],
            repository: Some(short.map_or(repository, |(_, short)| short).to_owned()),
            bytes: own.bytes,
            own_bytes: own.bytes,
            created: own.created,
            containers: self.users_of(&own.image),
        }
    }

    fn users_of(&self, image: &ImageRef) -> Vec<String> {
        let made = self.containers.values().filter(|kept| kept.container.image == *image);
        made.map(|kept| kept.container.name.to_string()).collect()
    }

    pub(super) fn remove_image(&mut self, id: &Digest) -> Removed {
        let Some(image) = self.stored_images().into_iter().find(|image| image.id == *id) else {
            let is_foreign = self.images.iter().any(|image| image.digest() == id);
            let stays = || Removed::Stays("the platform did not build it".to_owned());
            return if is_foreign { stays() } else { Removed::Gone };
        };
        if let Some(user) = image.containers.first() {
            return Removed::Stays(format!("container {user} is using it"));
        }
        self.own_images.retain(|own| own.image.digest() != id);
        self.images.retain(|image| image.digest() != id);
        Removed::Gone
    }

    fn port_is_taken(&self, port: u16, except: &ContainerName) -> bool {
        let holds = |kept: &Kept| {
            kept.container.host_port == port
                && kept.container.name != *except
                && matches!(kept.container.state, ContainerState::Running { .. })
        };
        self.foreign_ports.contains(&port) || self.containers.values().any(holds)
    }

    /// Ends a running container's process; says whether it ran.
    pub(super) fn exit(&mut self, name: &ContainerName, end: ContainerState) -> bool {
        let Some(kept) = self.containers.get_mut(name) else { return false };
        let ran = matches!(kept.container.state, ContainerState::Running { .. });
        if ran {
            kept.container.state = end;
        }
        ran
    }

    pub(super) fn print(&mut self, name: &ContainerName, line: &str) {
        if let Some(kept) = self.containers.get_mut(name) {
            kept.output.push(format!("{line}\n"));
            let surplus = kept.output.len().saturating_sub(LINES);
            kept.output.drain(..surplus);
        }
    }
}
