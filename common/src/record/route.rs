//! Routes: `routes/<instance>` and the leases of front ports, `ports/edge/<port>`. Written by the load balancer.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Generation;
use crate::name::{HostLabel, LegacyName};
use crate::port::edge::{EdgeOptions, Upstream};
use crate::record::course::{Decision, MOST_DECISIONS};
use crate::record::owed::Owed;

/// An instance's way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub schema: u32,
    pub instance: LegacyName,
    pub front_port: u16,
    pub host: HostLabel,
    /// Sorted by slot.
    pub upstreams: Vec<Upstream>,
    /// Replicas that get no new requests; requests under way at them are waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<Upstream>,
    /// Those of `upstreams` that get no requests until their node's agent finds them well; never all of a weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ill: Vec<SocketAddr>,
    /// Whether it should be served or go away.
    #[serde(default)]
    pub goal: RouteGoal,
    /// The generation of the deployment that asked for it.
    pub generation: Generation,
    /// The version of the deployment's record that it follows from.
    #[serde(default)]
    pub revision: i64,
    /// What the load balancer's lists of document 001 show of it.
    pub image: String,
    pub container_port: u16,
    pub container_ids: Vec<String>,
    /// What the app asks of the edge.
    #[serde(default, skip_serializing_if = "EdgeOptions::is_plain")]
    pub edge: EdgeOptions,
    /// What was decided of its replicas, the newest last, at most [`MOST_DECISIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Which of its replicas were started again because they were ill, the latest last, at most [`MOST_RESTARTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Decision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
}

/// How many restarts a route's record keeps.
pub const MOST_RESTARTS: usize = 8;

impl Route {
    /// Adds a decision, and forgets the oldest where there are too many.
    pub fn decided(&mut self, decision: Decision) {
        self.decisions.push(decision);
        let surplus = self.decisions.len().saturating_sub(MOST_DECISIONS);
        self.decisions.drain(..surplus);
    }
}

/// What was asked of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteGoal {
    #[default]
    Served,
    /// Its app is deployed for the first time: the edge says so, there is no replica yet.
    Announced,
    /// Out of the table, drained, then removed with its lease.
    Removed,
}

/// Who owns a front port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontPortLease {
    pub schema: u32,
    pub instance: LegacyName,
    /// Set when the route is gone: not given out again for 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
}
