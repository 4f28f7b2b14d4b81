//! Scale: `scale/<instance>`, the wanted number of replicas, and why it is that. Written by the load balancer; the
//! deployment manager watches it. Without it: what the instance pins, else 1.

mod hours;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Generation, RequestId};
use crate::name::LegacyName;
use crate::record::deployment::Deployment;
use crate::record::owed::Owed;

pub use hours::{Hours, InForce, in_force};

/// How many replicas an instance should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    pub schema: u32,
    pub instance: LegacyName,
    pub replicas: u32,
    /// Counts the changes.
    pub generation: Generation,
    /// The deployment's generation that it was accepted for.
    #[serde(default)]
    pub deployment: Generation,
    pub request: RequestId,
    #[serde(default)]
    pub owed: Vec<Owed>,
    /// How it came to be this number: the newest last, at most [`MOST_DECISIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
}

/// How many decisions a record keeps.
pub const MOST_DECISIONS: usize = 16;

impl Scale {
    /// Whether it says how many replicas a deployment should have: one that was deployed anew since begins with what
    /// the instance pins.
    pub fn is_for(&self, deployment: &Deployment) -> bool {
        self.deployment >= deployment.since
    }

    /// Adds a decision, and forgets the oldest where there are too many.
    pub fn decided(&mut self, decision: Decision) {
        self.decisions.push(decision);
        let surplus = self.decisions.len().saturating_sub(MOST_DECISIONS);
        self.decisions.drain(..surplus);
    }
}

/// One decision on the number of replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub at: Timestamp,
    pub from: u32,
    pub to: u32,
    pub kind: DecisionKind,
    /// One sentence for people, with the numbers.
    pub reason: String,
    /// What the replicas took then; none where that did not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// How many additions in a row before this one did not lower the load.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fruitless: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why a number was decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// A request said the number.
    Asked,
    /// There were fewer than the app's description has as its least.
    Minimum,
    /// There were more than the app's description has as its most.
    Maximum,
    /// A replica took more of its processor than it should.
    Processor,
    /// A replica took more of its memory than it should.
    Memory,
    /// More requests came to each replica than should.
    Requests,
    /// Requests took longer than they should.
    Latency,
    /// One fewer can do the work.
    Idle,
    /// Nobody has asked for it for long.
    Rested,
    /// A request waits, and there is no replica.
    Woken,
    /// What could not be placed is not wanted any more.
    Unplaced,
    /// More replicas did not help: the number stays.
    Brake,
}

impl DecisionKind {
    pub fn as_str(self) -> &'static str {
        match self {
            DecisionKind::Asked => "asked",
            DecisionKind::Minimum => "minimum",
            DecisionKind::Maximum => "maximum",
            DecisionKind::Processor => "processor",
            DecisionKind::Memory => "memory",
            DecisionKind::Requests => "requests",
            DecisionKind::Latency => "latency",
            DecisionKind::Idle => "idle",
            DecisionKind::Rested => "rested",
            DecisionKind::Woken => "woken",
            DecisionKind::Unplaced => "unplaced",
            DecisionKind::Brake => "brake",
        }
    }
}

/// What the busiest replica took of its own limits, in percent, rounded; and what visitors asked, where the app is
/// balanced by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub cpu_percent: u32,
    pub memory_percent: u32,
    /// That came to each replica, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// What all requests but one of twenty took at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
}

/// Within which bounds, and by what, the number of an app's replicas follows its load. An app without keeps its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    pub min: u32,
    pub max: u32,
    /// Above this share of its own limit a replica is overloaded, in percent.
    pub cpu_percent: u32,
    pub memory_percent: u32,
    /// Above so many requests a second each, replicas are overloaded; without, that is no reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// While more than one of twenty requests takes longer, replicas are overloaded; without, that is no reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// So long after a decision, or after a replica began to serve, the next replica is added at the earliest. One is
    /// taken away after [`IDLE_COOLDOWNS`] times as long without need of it.
    pub cooldown_seconds: u32,
    /// After so long without a request an app whose least is none has no replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<u32>,
}

/// Bounds of apps that say none: written by the load balancer, whose configuration says them; gone where it says none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsualBounds {
    pub schema: u32,
    pub min: u32,
    pub max: u32,
    /// Whatever was asked for, no app has more.
    pub most: u32,
}

impl UsualBounds {
    /// What holds for an app of which so many replicas were asked for when it was deployed: never fewer than those.
    pub fn of(self, pinned: u32) -> Scaling {
        let least = self.min.max(pinned).min(self.most);
        Scaling::within(least, self.max.min(self.most).max(least))
    }
}

/// How much longer than before an addition is waited before a replica is taken away.
pub const IDLE_COOLDOWNS: u32 = 10;

impl Scaling {
    /// What is meant where only the bounds are said: document 001's thresholds.
    pub const fn within(min: u32, max: u32) -> Self {
        Scaling {
            min,
            max,
            cpu_percent: 80,
            memory_percent: 75,
            requests_per_second: None,
            latency_ms: None,
            cooldown_seconds: 30,
            idle_seconds: None,
        }
    }

    /// Whether it depends on what visitors ask.
    pub fn is_by_traffic(&self) -> bool {
        self.requests_per_second.is_some() || self.latency_ms.is_some()
    }
}
