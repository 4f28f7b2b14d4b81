//! Nodes: `nodes/<node>` (from configuration until there is a lifecycle manager), the verdict on each,
//! `alive/<node>`, the drains, `drains/<node>`, and the leases of host ports, `ports/<node>/<port>`. All written by the node
//! manager.

use std::net::{IpAddr, SocketAddr};
use std::ops::Not;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::RequestId;
use crate::name::{LegacyName, NodeName};

/// An enrolled machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub schema: u32,
    pub name: NodeName,
    /// Where containers' host ports are reached.
    pub ip: IpAddr,
    /// Where its agent listens.
    pub agent: SocketAddr,
    pub os: String,
    /// It is to be emptied: its machine is taken away then.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub leaves: bool,
}

/// The node manager's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alive {
    pub schema: u32,
    pub node: NodeName,
    pub verdict: Verdict,
    /// One sentence: why.
    pub reason: String,
    pub since: Timestamp,
}

/// Whether a node can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Live,
    /// Silent for a moment: gets nothing new, keeps what it has.
    Suspect,
    /// Silent for long: its replicas are replaced.
    Dead,
    /// Being emptied on purpose.
    Draining,
}

/// A node that somebody has drained, until they return it: it serves nothing of apps once others do, and gets nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    pub schema: u32,
    pub node: NodeName,
    pub since: Timestamp,
}

/// Who owns a host port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortLease {
    pub schema: u32,
    pub instance: LegacyName,
    /// The placement request that leased it: asking again under it gives the same port.
    pub request: RequestId,
    pub leased_at: Timestamp,
    /// Set when the container's absence was confirmed: not given out again for 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
}
