//! Deployments: `deployments/<hh>/<instance>`, how far the replicas of an instance are.
//! Written by the deployment manager; read by the node manager for its leases.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::course::{Canary, Decision, MOST_DECISIONS, Move, Stay};
use super::kept::{Kept, Origin};
use super::owed::Owed;
use crate::digest::ImageRef;
use crate::failure::Failure;
use crate::id::{Generation, ReleaseNumber, RequestId, SlotNumber};
use crate::name::{AppName, LegacyName, NodeName};

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub schema: u32,
    pub instance: LegacyName,
    pub app: AppName,
    pub release: ReleaseNumber,
    /// Counts the accepted deploy and stop commands; never goes back.
    pub generation: Generation,
    /// The generation with which it was deployed anew, where nothing ran nor was on its way: what was wanted of it
    /// before is void.
    #[serde(default)]
    pub since: Generation,
    pub goal: Goal,
    /// Ordered; never goes back within a generation.
    pub state: State,
    /// The request that set the goal; its outcome is told on `first_topic`.
    pub request: RequestId,
    /// Of the newest generation that was to run.
    #[serde(default)]
    pub origin: Origin,
    /// When the goal is given up.
    pub deadline: Timestamp,
    /// The built image, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRef>,
    /// What the edge serves: an older generation while the newest is on its way or has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<Revision>,
    /// The generation that is on its way, where it is an older one that has replicas already: a canary's that changes
    /// its share or is promoted, or what is served, while a canary is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Generation>,
    /// The newest release gets a share of the requests beside what is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// One replica is on its way to another node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Move>,
    /// Until when no other one is to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<Stay>,
    /// What was decided of its releases and places, the newest last, at most [`MOST_DECISIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// The releases that were in service last, in the order in which they came into it: what may be gone back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<Kept>,
    /// Sorted by number.
    pub slots: Vec<Slot>,
    /// Counts the placements that were asked for; each is asked for under a request id of its own.
    #[serde(default)]
    pub placements: u32,
    /// `<ip>:<port>` of the front door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Why the goal was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the request takes away: a failed deploy its own replicas, a stop all of them. Told with
    /// its end, when they are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Replica>,
    pub updated_at: Timestamp,
    #[serde(default)]
    pub owed: Vec<Owed>,
}

impl Deployment {
    /// Whether it is deployed, or being deployed: a newer generation of it goes on from there.
    pub fn is_deployed(&self) -> bool {
        self.goal == Goal::Running && (self.state < State::Undoing || self.serving.is_some())
    }

    /// The generation whose replicas are on their way, or were last.
    pub fn rising(&self) -> Generation {
        self.adopted.unwrap_or(self.generation)
    }

    /// Whether this generation is what is served.
    pub fn serves(&self, generation: Generation) -> bool {
        self.serving.as_ref().is_some_and(|serving| serving.generation == generation)
    }

    /// Adds a decision, and forgets the oldest where there are too many.
    pub fn decided(&mut self, decision: Decision) {
        self.decisions.push(decision);
        let surplus = self.decisions.len().saturating_sub(MOST_DECISIONS);
        self.decisions.drain(..surplus);
    }

    /// The images that it runs, or may go back to: no node that has one of them removes it.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        let served = self.serving.as_ref().map(|serving| &serving.image);
        let kept = self.releases.iter().map(|kept| &kept.image);
        self.image.iter().chain(served).chain(kept)
    }
}

/// What a generation runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub generation: Generation,
    pub release: ReleaseNumber,
    pub image: ImageRef,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    Running,
    Stopped,
}

/// How far a generation is. The order is the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Accepted,
    Placing,
    Building,
    Starting,
    Routing,
    Running,
    /// The goal was given up; what was made is being unmade.
    Undoing,
    Stopping,
    /// The goal was given up: of a deploy, or of a stop.
    Failed,
    Stopped,
    /// Nothing is left; kept for an hour.
    Removed,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub number: SlotNumber,
    /// The generation that made this slot: a redeploy makes new ones beside the old.
    pub generation: Generation,
    /// The request under which the node manager was asked, and holds the lease.
    pub placement_request: RequestId,
    pub state: SlotState,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// How often it was placed anew.
    #[serde(default)]
    pub attempt: u32,
    /// How often of these its image could not be had.
    #[serde(default)]
    pub images_missing: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

/// A replica as its node has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub number: SlotNumber,
    pub place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
}

impl Slot {
    /// None before it is placed.
    pub fn replica(&self) -> Option<Replica> {
        let place = self.place.clone()?;
        Some(Replica { number: self.number, place, container_id: self.container_id.clone() })
    }
}

/// How far a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// The node manager was asked.
    Asked,
    Placed,
    Started,
    /// Its probe passed; from now on it may be in the route.
    Ready,
    /// The edge serves it, and it is registered.
    Routed,
    /// To be taken out of the route and removed.
    Leaving,
    /// Out of the route, or never in it; to be removed, and never wanted again.
    Drained,
}

/// Where a replica is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub node: NodeName,
    pub ip: IpAddr,
    pub host_port: u16,
}
