//! The HTTP interface of a node's agent: paths, and the bodies that are not records or port values.
//!
//! `POST` bodies and answers are JSON, but for [`BUILD`] (a tar archive comes in), [`LOGS`] (output
//! goes out as it is) and [`SAMPLES`] (one JSON object a line).

use serde::{Deserialize, Serialize};

use crate::digest::ImageRef;
use crate::id::Epoch;
use crate::port::container::ContainerSpec;
use crate::port::nodes::{Issuer, Removal};
use crate::problem::Problem;
use crate::service::ServiceName;

pub const ENSURE: &str = "/v1/ensure";
pub const REMOVE: &str = "/v1/remove";
pub const PULL: &str = "/v1/pull";
pub const ANNOUNCE: &str = "/v1/announce";
/// With [`BuildQuery`].
pub const BUILD: &str = "/v1/build";
pub const CONTAINERS: &str = "/v1/containers";
pub const SAMPLES: &str = "/v1/samples";
/// `/v1/probe/<container>`.
pub const PROBE: &str = "/v1/probe";
/// `/v1/logs/<container>`, with [`LogQuery`].
pub const LOGS: &str = "/v1/logs";

/// The code of the problem that a stale epoch is answered with.
pub const STALE_EPOCH: &str = "STALE_EPOCH";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ensure {
    pub issuer: Issuer,
    pub spec: ContainerSpec,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    pub issuer: Issuer,
    pub removal: Removal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    pub issuer: Issuer,
    pub image: ImageRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announce {
    pub issuer: Issuer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildQuery {
    /// The repository in the registry, without the registry's address.
    pub repository: String,
    pub service: ServiceName,
    pub epoch: Epoch,
}

/// What was built and pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    pub image: ImageRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    pub tail: usize,
    pub follow: bool,
}

/// How an agent says no: a problem document with two members more. Its code is a failure code,
/// [`STALE_EPOCH`], or one of HTTP's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    #[serde(flatten)]
    pub problem: Problem,
    /// The last words of what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// The epoch that the agent has heard of the caller's service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Epoch>,
}
