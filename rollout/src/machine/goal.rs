//! [`Goal`]: what a machine should become.

use std::path::PathBuf;

use bytes::Bytes;
use common::digest::Digest;
use common::name::NodeName;
use common::port::host::Credential;
use common::port::machines::{Opening, Shape};

use crate::failure::{Failure, Why};
use crate::parts::{REGISTRY_PORT, base_parts, openings};
use crate::platform::{Component, PlannedMachine, Platform};

/// A machine that should be a node.
#[derive(Debug, Clone)]
pub struct Goal {
    /// The platform's name.
    pub platform: NodeName,
    /// As it is described, and as far as it is known already.
    pub machine: PlannedMachine,
    /// The image that the agent runs from.
    pub program: Digest,
    /// What is brought by copying, the program among it.
    pub images: Vec<Digest>,
    /// Ranges that apps may not reach.
    pub denied_networks: Vec<String>,
    /// Where the platform's own private key is on the computer that acts; made where it is missing.
    pub key: PathBuf,
    /// Where the parts listen that it gets from the start, and the relay to the registry.
    pub ports: Vec<u16>,
    /// What it must let in from the other machines.
    pub openings: Vec<Opening>,
    /// A tar archive of what says how packages are reached from the machine; none leaves what is there.
    pub build_env: Option<Bytes>,
}

impl Goal {
    /// What `name` should be in a platform.
    pub fn of(
        platform: &Platform,
        name: &NodeName,
        key: PathBuf,
        build_env: Option<Bytes>,
    ) -> Result<Self, Failure> {
        let lacking = |what: String| Failure::of(name, "plan this machine", Why::incomplete(what));
        let machine = platform.machine(name);
        let machine = machine.ok_or_else(|| lacking(format!("there is no machine {name}")))?;
        let program = platform.images.get(&Component::Platform);
        let program =
            program.ok_or_else(|| lacking("the image of the program is not known".to_owned()))?;
        let images = platform.carried(name).into_iter().map(|(_, image)| image.id.clone());
        Ok(Goal {
            platform: platform.name.clone(),
            machine: machine.clone(),
            program: program.id.clone(),
            images: images.collect(),
            denied_networks: platform.denied_networks.clone(),
            key,
            ports: ports(platform, name),
            openings: openings(platform),
            build_env,
        })
    }

    /// The same for the machine as it is known now.
    #[must_use]
    pub(super) fn with(&self, machine: &PlannedMachine) -> Self {
        Goal { machine: machine.clone(), ..self.clone() }
    }

    /// What the machine is made of, where that says what it lets in with what the platform needs before what was described.
    pub(super) fn shape(&self) -> Shape {
        match self.machine.shape.clone() {
            Shape::Azure(mut azure) => {
                azure.opened.splice(0..0, self.openings.iter().copied());
                Shape::Azure(azure)
            }
            shape @ (Shape::Local(_) | Shape::Given) => shape,
        }
    }

    /// The platform's key as a way in.
    pub(super) fn own_key(&self) -> Credential {
        Credential::KeyFile(self.key.clone())
    }

    /// How keys are told apart on machines.
    pub(super) fn key_comment(&self) -> String {
        format!("avishkar {}", self.platform)
    }

    pub(super) fn agent_names(&self) -> Vec<String> {
        agent_names(&self.machine)
    }
}

/// What the certificate of a machine's agent is valid for, besides the name of its service.
pub fn agent_names(machine: &PlannedMachine) -> Vec<String> {
    let address = machine.reached_at().map(|address| address.to_string());
    [machine.name.to_string()].into_iter().chain(address).collect()
}

fn ports(platform: &Platform, name: &NodeName) -> Vec<u16> {
    let of_parts = base_parts(platform, name).into_iter().flat_map(|part| part.ports(platform));
    let mut ports: Vec<u16> = [REGISTRY_PORT].into_iter().chain(of_parts).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
