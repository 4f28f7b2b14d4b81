//! What is known of a platform beside its file: which machines were made, their pinned keys, where its services are.
//! Nothing in it is secret.
//!
//! It is written before a machine is touched for the first time, so that nothing half-made is forgotten.

mod book;

use std::collections::BTreeMap;

use common::digest::Digest;
use common::id::Generation;
use common::name::NodeName;
use rollout::platform::{AzurePlace, Component, Image, PlannedMachine, Platform};
use serde::{Deserialize, Serialize};

pub use self::book::{Book, FileBook, NotABook};

/// 2: with the ids of machines.
const SCHEMA: u32 = 2;

/// Everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub schema: u32,
    /// The platform's name.
    pub name: NodeName,
    /// Tells this state from others of the same platform; a copy of its file has the same.
    pub computer: String,
    pub phase: Phase,
    /// As they are known now: gate, address, pinned host key. A machine is here before it is touched.
    pub machines: Vec<PlannedMachine>,
    /// Where its machines of Azure were made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzurePlace>,
    /// The platform's images as they were last, with their names in its registry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<Component, Image>,
    /// Counts the changes of the description: parts of a higher generation replace older ones.
    pub generation: Generation,
    /// What the description was when it was counted last.
    pub described: String,
    /// The certificate of the platform's authority, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
}

/// How far the platform is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Being made, or half made.
    Applying,
    /// It was there.
    Applied,
    /// Being removed, or half removed.
    Destroying,
}

/// Where the platform is, as `ip:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// Over mutual TLS.
    pub lifecycle_managers: Vec<String>,
    /// Over mutual TLS.
    pub platform_initializers: Vec<String>,
    pub kafka: Vec<String>,
    pub zookeeper: Vec<String>,
    pub registry: String,
    /// The address of the edge; each app has a port there.
    pub edge: String,
}

fn digest(platform: &Platform) -> String {
    let mut described = platform.clone();
    for image in described.images.values_mut() {
        image.named = None;
    }
    let text = serde_json::to_vec(&described).expect("a platform has text keys only");
    Digest::of(&text).to_string()
}

impl State {
    /// Of a platform that nobody has touched.
    pub fn new(name: NodeName, computer: String) -> Self {
        State {
            schema: SCHEMA,
            name,
            computer,
            phase: Phase::Applying,
            machines: Vec::new(),
            azure: None,
            images: BTreeMap::new(),
            generation: Generation::default(),
            described: String::new(),
            authority: None,
            endpoints: None,
        }
    }

    /// Keeps what is known of a machine now.
    pub fn know(&mut self, machine: &PlannedMachine) {
        match self.machines.iter_mut().find(|known| known.name == machine.name) {
            Some(known) => known.clone_from(machine),
            None => self.machines.push(machine.clone()),
        }
    }

    /// The machine is gone.
    pub fn forget(&mut self, name: &NodeName) {
        self.machines.retain(|known| known.name != *name);
    }

    /// Whether a description was counted, and another one than this.
    pub(crate) fn is_of_another(&self, platform: &Platform) -> bool {
        !self.described.is_empty() && self.described != digest(platform)
    }

    /// Counts a description that is another one than the last. Gives the generation of its parts.
    pub fn count(&mut self, platform: &Platform) -> Generation {
        let described = digest(platform);
        if self.described != described {
            self.described = described;
            self.generation = Generation(self.generation.0 + 1);
        }
        self.generation
    }

    /// The description, completed by what is known. What the file says comes first.
    pub fn complete(&self, platform: &Platform) -> Platform {
        let mut platform = platform.clone();
        for machine in &mut platform.machines {
            let known = self.machines.iter().find(|known| known.name == machine.name);
            let Some(known) = known.filter(|known| known.shape.kind() == machine.shape.kind())
            else {
                continue;
            };
            machine.id = machine.id.take().or_else(|| known.id.clone());
            machine.host_key = machine.host_key.take().or_else(|| known.host_key.clone());
            machine.gate = machine.gate.take().or_else(|| known.gate.clone());
            machine.address = machine.address.or(known.address);
        }
        platform
    }

    /// Machines that were touched and are in the file no more.
    pub fn left_over(&self, platform: &Platform) -> Vec<PlannedMachine> {
        let gone = |known: &&PlannedMachine| platform.machine(&known.name).is_none();
        self.machines.iter().filter(gone).cloned().collect()
    }
}
