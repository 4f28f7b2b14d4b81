//! The other edge of a pair: told by the load balancer beside it, of what the records say, and asked through that one.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Error, FrontPorts, Traffic, Visits};
use crate::name::LegacyName;

/// What an edge that was told serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenRoutes {
    #[serde(flatten)]
    pub ports: FrontPorts,
    /// Whose routes are kept out of its table, and why, in words for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<LegacyName, String>,
}

/// Asks the load balancer beside the other edge. Every method may be repeated; where one fails, nothing is known of that
/// edge: it may serve on what it had.
#[async_trait]
pub trait OtherEdge: Debug + Send + Sync {
    /// Has it read all routes anew: returns once every worker of its edge serves what was written before this was called,
    /// with the front ports that it has.
    async fn take_routes(&self) -> Result<TakenRoutes, Error>;

    /// The same of certificates.
    async fn take_certificates(&self) -> Result<(), Error>;

    /// As [`super::Edge::in_flight`].
    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error>;

    /// As [`super::Edge::traffic`].
    async fn traffic(&self) -> Result<Traffic, Error>;

    /// As [`super::Edge::visits`].
    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error>;
}
