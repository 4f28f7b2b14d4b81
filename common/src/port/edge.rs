//! The edge: the data plane that serves the routing table.

mod certificates;
mod latency;
mod options;
mod other;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Cause;
use crate::id::{Epoch, Generation, SlotNumber};
use crate::name::{HostLabel, LegacyName};

pub use certificates::{
    CertificateSet, Challenge, EdgeCertificates, HostCertificate, KeptCertificate,
    ServedCertificates,
};
pub use latency::{LATENCY_BOUNDS_MS, Latency};
pub use options::{Balance, EdgeOptions, Https, OptionError};
pub use other::{OtherEdge, TakenRoutes};
pub use traffic::{Answer, AppTraffic, ReplicaTraffic, Traffic};

/// Why the edge did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the edge cannot be reached")]
    Unavailable(#[source] Cause),
    /// Nobody is there to be told. It starts with the newest table on its disk, and serves nobody until then.
    #[error("the edge does not run")]
    Ended,
    /// The edge serves a newer table.
    #[error("the edge has table {epoch}.{generation}")]
    Stale { epoch: Epoch, generation: Generation },
    #[error("the edge refused the table: {code}")]
    Refused { code: String },
    /// The edge serves the table, but these apps as they were before, or not at all where they were not there.
    #[error("the edge serves the table without the routes of {} apps: {code}", .instances.len())]
    Without { code: String, instances: BTreeSet<LegacyName> },
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::Ended)
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
    #[serde(default, skip_serializing_if = "EdgeOptions::is_plain")]
    pub options: EdgeOptions,
}

/// One replica behind a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Upstream {
    pub ip: IpAddr,
    pub port: u16,
    pub slot: SlotNumber,
    #[serde(default, skip_serializing_if = "Weight::is_one")]
    pub weight: Weight,
}

/// How many requests a replica gets for each that one of weight 1 gets: from 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// The number is no weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a weight is a number from 1 to 1000, not {0}")]
pub struct NoWeight(pub u16);

impl Weight {
    pub const ONE: Weight = Weight(1);
    const MOST: u16 = 1000;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_one(&self) -> bool {
        *self == Weight::ONE
    }
}

impl Default for Weight {
    fn default() -> Self {
        Weight::ONE
    }
}

impl TryFrom<u16> for Weight {
    type Error = NoWeight;

    fn try_from(number: u16) -> Result<Self, NoWeight> {
        let kept = (1..=Weight::MOST).contains(&number);
        if kept { Ok(Weight(number)) } else { Err(NoWeight(number)) }
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
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
    /// What of its files it could not read when it started, in words for people; it serves the newest table that was
    /// whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
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

/// Whether an app is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    /// Requests that wait for a replica.
    pub waiting: u32,
    /// Since when no request has come or been under way; the platform's own questions are none.
    pub idle_seconds: u64,
}

/// Serves the routing table. Every method may be repeated.
#[async_trait]
pub trait Edge: Debug + Send + Sync {
    /// Serves this table from now on; returns once every worker does. An edge that has [ended](Error::Ended) has it on its
    /// disk.
    async fn load(&self, table: &Table) -> Result<(), Error>;

    async fn status(&self) -> Result<Status, Error>;

    /// Requests under way per upstream.
    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error>;

    /// What was asked of the apps that are served, and how it went: as it was a moment ago, and not at all where that
    /// is not known. It is cheap to ask. All of it may begin anew.
    async fn traffic(&self) -> Result<Traffic, Error>;

    /// Of each app whose requests are held while it has no replica, how many wait, and for how long nobody has asked.
    /// An edge that cannot hold requests knows of none.
    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        Ok(BTreeMap::new())
    }

    /// Asks the app behind a front port through the front door; the status it answered with, 504 if it did not in time, none
    /// if there is no front door.
    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_was_written_before_weights_has_weight_one_and_is_written_as_before() {
        let text = r#"{"ip":"192.0.2.1","port":20000,"slot":1}"#;
        let upstream: Upstream = serde_json::from_str(text).unwrap();
        assert_eq!(upstream.weight, Weight::ONE);
        assert_eq!(serde_json::to_string(&upstream).unwrap(), text);
    }

    #[test]
    fn a_weight_has_bounds() {
        for (number, good) in [(0, false), (1, true), (1000, true), (1001, false)] {
            let text = format!(r#"{{"ip":"192.0.2.1","port":1,"slot":1,"weight":{number}}}"#);
            assert_eq!(serde_json::from_str::<Upstream>(&text).is_ok(), good, "{number}");
        }
    }
}
