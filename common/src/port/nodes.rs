//! A node's agent, as the services see it. Every call carries who asks and with which epoch.

use std::fmt::Debug;
use std::fs::File;
use std::net::SocketAddr;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cause;
use super::container::{Container, ContainerSpec};
use super::containers::{Follow, LineStream};
use super::disk::{Collected, Collection, Disk, Needs, Pin};
use crate::digest::ImageRef;
use crate::failure::{Failure, FailureCode};
use crate::id::{Epoch, Generation};
use crate::name::{ContainerName, NodeName};
use crate::service::ServiceName;

/// Why an agent did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer in time; the effect may or may not have happened.
    #[error("node {node} cannot be reached")]
    Unreachable {
        node: NodeName,
        #[source]
        source: Cause,
    },
    /// A newer leader of the same service has spoken to this agent.
    #[error("node {node} has heard epoch {seen}")]
    StaleEpoch { node: NodeName, seen: Epoch },
    /// The agent tried and failed, with a reason of the closed list.
    #[error("node {node} failed: {failure}")]
    Failed { node: NodeName, failure: Failure },
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::StaleEpoch { .. } => false,
            Error::Failed { failure, .. } => failure.code.is_retryable(),
        }
    }
}

/// Where an agent is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Agent {
    pub node: NodeName,
    pub address: SocketAddr,
}

/// Who asks. Agents keep the highest epoch of each service and refuse lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    pub service: ServiceName,
    pub epoch: Epoch,
}

/// A name to be removed, at or below a generation: a newer container of the same name stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    pub name: ContainerName,
    pub generation: Generation,
}

/// What a node measured about itself and its containers, ten times a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Timestamp,
    pub node: NodeUse,
    pub containers: Vec<ContainerUse>,
}

/// How much of a machine is in use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NodeUse {
    pub cpu_percent: f64,
    pub memory_percent: f64,
    pub disk_percent: f64,
    pub memory_total_bytes: u64,
    pub cpu_millis_total: u32,
    /// What the containers' limits promise away.
    pub memory_promised_bytes: u64,
    pub cpu_millis_promised: u32,
}

/// What one container uses. Percentages are of its own limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerUse {
    pub name: ContainerName,
    pub id: String,
    pub generation: Generation,
    pub host_port: u16,
    pub running: bool,
    /// Whether its port answered the last look; none before the first.
    pub healthy: Option<bool>,
    /// How many of the agent's looks at this run of it have failed in a row. Agents of before this do not say.
    #[serde(default)]
    pub failed_looks: u32,
    pub cpu_percent: f64,
    pub memory_percent: f64,
    pub restarts: u32,
    /// The last run of it that was ended because it was ill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ill: Option<EndedIll>,
    /// None while the kernel shows nothing, or where there is no limit to measure by.
    #[serde(default)]
    pub measured: Option<Measured>,
}

/// A run that an agent stopped because its looks at it failed for too long; another run follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedIll {
    /// By the agent's clock.
    pub at: Timestamp,
    /// How many had failed in a row.
    pub failed_looks: u32,
}

/// What a container used since the sample before, in percent of its own limits: not averaged, unlike
/// [`ContainerUse::cpu_percent`], so that its reader averages over as many samples as it decides by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub cpu_percent: f64,
    pub memory_percent: f64,
}

/// What a look at a container's port found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Probe {
    /// It listens, and answered over HTTP below 500 if a path was asked for.
    Healthy,
    /// Not yet: nothing listens on the announced port. `listening` is what was found instead.
    NotListening { listening: Vec<String> },
    /// It listens, but the path answered with this status, or not at all.
    Unhealthy { status: Option<u16> },
    /// The process ended.
    Exited { code: i64, out_of_memory: bool, crash_loop: bool },
    /// There is no such container.
    Absent,
}

/// An image to be built.
#[derive(Debug)]
pub struct Build {
    /// The repository in the registry, without the registry's address: `apps/<app>`.
    pub repository: String,
    /// A tar archive of the bundle and its generated `Dockerfile`, at its beginning. It is sent as it
    /// is read: it may be larger than the memory.
    pub context: File,
}

/// Samples as they come: the same stream is the node's heartbeat.
pub type SampleStream = BoxStream<'static, Result<Sample, Error>>;

/// Talks to nodes' agents. Every method may be repeated.
#[async_trait]
pub trait Nodes: Debug + Send + Sync {
    /// Makes a container run as specified; pulls its image if it is missing.
    async fn ensure(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, Error>;

    /// Makes sure a container is gone; returns only when it is.
    async fn remove(&self, agent: &Agent, issuer: Issuer, removal: &Removal) -> Result<(), Error>;

    /// All containers of ours on the node, and those that its agent was told to run and that are not there: until one is
    /// removed it may come at any time.
    async fn list(&self, agent: &Agent) -> Result<Vec<Container>, Error>;

    /// Builds an image and pushes it to the registry; returns its name by digest.
    async fn build(&self, agent: &Agent, issuer: Issuer, build: Build) -> Result<ImageRef, Error>;

    /// Makes an image present.
    async fn pull(&self, agent: &Agent, issuer: Issuer, image: &ImageRef) -> Result<(), Error>;

    /// Looks at a container's port, from the node itself.
    async fn probe(&self, agent: &Agent, name: &ContainerName) -> Result<Probe, Error>;

    /// The last `tail` lines of a container's output, then, if `follow`, what comes.
    async fn logs(
        &self,
        agent: &Agent,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error>;

    /// Opens the node's stream of samples.
    async fn samples(&self, agent: &Agent) -> Result<SampleStream, Error>;

    /// Says that this issuer leads from now on.
    async fn announce(&self, agent: &Agent, issuer: Issuer) -> Result<(), Error>;

    /// What is on the node's disk, and who refers to it. Agents of before this could be asked do not say.
    async fn disk(&self, agent: &Agent) -> Result<Disk, Error> {
        Err(says_nothing_of_its_disk(agent))
    }

    /// Removes images and bundles that nobody refers to, or says what it would remove.
    async fn collect(&self, agent: &Agent, _collection: &Collection) -> Result<Collected, Error> {
        Err(says_nothing_of_its_disk(agent))
    }

    /// Says which images are kept from now on, all of them.
    async fn pin(&self, agent: &Agent, _issuer: Issuer, _pins: &[Pin]) -> Result<(), Error> {
        Err(says_nothing_of_its_disk(agent))
    }

    /// Says which of the node's bundles are needed. What it says takes the place of what was said before.
    async fn need(&self, agent: &Agent, _issuer: Issuer, _needs: &Needs) -> Result<(), Error> {
        Err(says_nothing_of_its_disk(agent))
    }
}

fn says_nothing_of_its_disk(agent: &Agent) -> Error {
    let message = "the agent says nothing of its disk: it is of an earlier version";
    let failure = Failure::new(FailureCode::NodeUnavailable, message);
    Error::Failed { node: agent.node.clone(), failure }
}
