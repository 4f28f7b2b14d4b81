//! What a replica's container should be, and what it is: shared by [`super::Nodes`] and [`super::Containers`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::{ImageRef, hex};
use crate::id::{Epoch, Generation, SlotNumber};
use crate::name::{ContainerName, InstanceName};

/// Labels that containers of the platform carry. What carries them and is not wanted is removed;
/// what does not carry them is never touched.
pub mod label {
    pub const PLATFORM: &str = "avishkar.platform";
    /// Its value on the stages of a build that are not the image itself. Nothing names them, so their
    /// `Dockerfile` has to say whose they are.
    pub const STAGE: &str = "stage";
    pub const INSTANCE: &str = "avishkar.instance";
    pub const SLOT: &str = "avishkar.slot";
    pub const GENERATION: &str = "avishkar.generation";
    pub const DIGEST: &str = "avishkar.digest";
    pub const EPOCH: &str = "avishkar.epoch";
    /// The hash of the whole specification: the same name with another hash is another container.
    pub const SPEC: &str = "avishkar.spec";
    /// The whole image reference, repository and digest.
    pub const IMAGE: &str = "avishkar.image";
    /// What an image was built as, without a registry, on images that the platform built.
    pub const REPOSITORY: &str = "avishkar.repository";
    /// The port of the node that leads to the container.
    pub const HOST_PORT: &str = "avishkar.host-port";
    /// The folder of the platform on one machine that made it, so that several can tell theirs apart; what an
    /// agent of its own made has none.
    pub const HOME: &str = "avishkar.home";
    /// The name of a part of the platform itself, on the containers of parts only.
    pub const PART: &str = "avishkar.part";
}

/// A container that should run on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    pub instance: InstanceName,
    pub slot: SlotNumber,
    pub generation: Generation,
    pub image: ImageRef,
    /// The port the app listens on inside the container.
    pub container_port: u16,
    /// The port of the node that leads to it.
    pub host_port: u16,
    pub environment: BTreeMap<String, String>,
    pub limits: Limits,
    /// No writable file system but a small `/tmp`.
    pub read_only: bool,
    /// Files mounted read-only: absolute path in the container and content.
    pub files: Vec<ContainerFile>,
    /// The path that must answer below 500 over HTTP; without it, listening is enough.
    pub health_path: Option<String>,
}

impl ContainerSpec {
    pub fn name(&self) -> ContainerName {
        ContainerName::new(&self.instance, self.slot)
    }

    /// The hash of the whole specification, as in [`label::SPEC`]. Maps are sorted and fields have an
    /// order, so the same specification has the same hash everywhere.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(self).expect("a specification has text keys only");
        hex(&Sha256::digest(&text))
    }
}

/// A small file that is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFile {
    pub path: String,
    pub content: String,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub memory_bytes: u64,
    /// Thousandths of a core.
    pub cpu_millis: u32,
    pub processes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: 256 * 1024 * 1024, cpu_millis: 500, processes: 256 }
    }
}

/// A container of ours as a node has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub name: ContainerName,
    /// The engine's id of it; empty while there is none.
    pub id: String,
    pub instance: InstanceName,
    pub slot: SlotNumber,
    pub generation: Generation,
    pub image: ImageRef,
    /// The epoch of the issuer whose word made it.
    pub epoch: Epoch,
    pub host_port: u16,
    /// The hash of the specification it was made from.
    pub spec_hash: String,
    pub state: ContainerState,
}

impl Container {
    /// What should run on a node and is not there: its agent makes it as soon as it can.
    pub fn not_made(spec: &ContainerSpec, epoch: Epoch) -> Self {
        Container {
            name: spec.name(),
            id: String::new(),
            instance: spec.instance.clone(),
            slot: spec.slot,
            generation: spec.generation,
            image: spec.image.clone(),
            epoch,
            host_port: spec.host_port,
            spec_hash: spec.hash(),
            state: ContainerState::Created,
        }
    }

    /// Whether the engine has it, in any state.
    pub fn is_made(&self) -> bool {
        !self.id.is_empty()
    }
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum ContainerState {
    /// Made, but not started.
    Created,
    Running {
        since: Timestamp,
    },
    Exited {
        code: i64,
        out_of_memory: bool,
        at: Timestamp,
    },
}
