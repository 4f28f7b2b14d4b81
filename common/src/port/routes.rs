//! The load balancer, as the deployment manager sees it: blocking, one route at a time.

mod traffic;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Cause;
use super::edge::{EdgeOptions, Upstream};
use crate::failure::Failure;
use crate::id::Generation;
use crate::name::{HostLabel, LegacyName};
use crate::problem;

pub use traffic::{ReplicaShare, RouteTraffic, Share, Visitors};

/// Why a route was not set or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the load balancer cannot be reached")]
    Unavailable(#[source] Cause),
    /// A route of a newer generation stands.
    #[error("the route has generation {0}")]
    Stale(Generation),
    #[error("the load balancer failed: {0}")]
    Failed(Failure),
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Unavailable(_) => true,
            Error::Stale(_) => false,
            Error::Failed(failure) => failure.code.is_retryable(),
        }
    }
}

/// The body of `POST /api/v1/routes`: the whole wanted route of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedRoute {
    pub instance: LegacyName,
    /// The deployment's generation; a lower one than the route has is refused.
    pub generation: Generation,
    /// The version of the deployment's record that it follows from: of one generation, a lower one than the route has
    /// is refused. 0 for what no deployment asks for.
    #[serde(default)]
    pub revision: i64,
    /// All replicas that should get requests.
    pub upstreams: Vec<Upstream>,
    /// Shown in document 001's lists.
    pub image: String,
    pub container_port: u16,
    pub container_ids: Vec<String>,
    /// What the app asks of the edge.
    #[serde(default, skip_serializing_if = "EdgeOptions::is_plain")]
    pub edge: EdgeOptions,
}

/// The answer: the route as every worker of the edge serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    pub front_port: u16,
    pub host: HostLabel,
    /// `<advertised ip>:<front port>`.
    pub endpoint: SocketAddr,
}

/// The answer to `POST /api/v1/routes/{instance}/probe?path=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// What the app answered with; none if it did not answer.
    pub status: Option<u16>,
}

/// The body of an error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(flatten)]
    pub problem: problem::Problem,
    /// With the code `STALE_GENERATION`: the generation that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
}

/// Sets and removes routes. Every method may be repeated, and blocks until the edge has it.
#[async_trait]
pub trait Routes: Debug + Send + Sync {
    /// Serves these replicas, and no others; replicas that leave are drained before it returns.
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error>;

    /// Serves the instance no longer; in-flight requests are drained before it returns.
    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error>;

    /// Asks the app through the front door: the status it answered with, 504 if it did not in time, none if there is no front
    /// door.
    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error>;

    /// What each replica was asked lately, and how it went. Where that is not known, this fails.
    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error>;

    /// What each app that is served was asked lately. Where that is not known, this fails.
    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error>;
}
