//! The edge: the data plane that serves the routing table.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Cause;
use crate::id::{Epoch, Generation, SlotNumber};
use crate::name::{HostLabel, LegacyName};

/// Why the edge did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the edge cannot be reached")]
    Unavailable(#[source] Cause),
    /// The edge serves a newer table.
    #[error("the edge has table {epoch}.{generation}")]
    Stale { epoch: Epoch, generation: Generation },
    #[error("the edge refused the table: {code}")]
    Refused { code: String },
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}

/// The whole routing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub epoch: Epoch,
    pub generation: Generation,
    pub routes: Vec<TableRoute>,
}

/// One instance's way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRoute {
    pub instance: LegacyName,
    pub front_port: u16,
    pub host: HostLabel,
    pub upstreams: Vec<Upstream>,
}

/// One replica behind a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Upstream {
    pub ip: IpAddr,
    pub port: u16,
    pub slot: SlotNumber,
}

impl Upstream {
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// What the edge says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The table that all of its workers serve.
    pub epoch: Epoch,
    pub generation: Generation,
    pub ports: FrontPorts,
    pub host_port: u16,
}

/// The front ports the edge opened when it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontPorts {
    pub first: u16,
    pub last: u16,
    /// Ports of the range that it could not or must not open.
    pub closed: Vec<u16>,
}

impl FrontPorts {
    pub fn open(&self) -> impl Iterator<Item = u16> + '_ {
        (self.first..=self.last).filter(|port| !self.closed.contains(port))
    }
}

/// Serves the routing table. Every method may be repeated.
#[async_trait]
pub trait Edge: Debug + Send + Sync {
    /// Serves this table from now on; returns once every worker does.
    async fn load(&self, table: &Table) -> Result<(), Error>;

    async fn status(&self) -> Result<Status, Error>;

    /// Requests under way per upstream.
    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error>;

    /// Asks the app behind a front port through the front door; the status it answered with.
    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error>;
}
