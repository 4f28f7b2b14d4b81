//! The HTTP interface of a node's agent: paths, and the bodies that are not records or port values.
//!
//! `POST` bodies and answers are JSON, but for [`BUILD`] (a tar archive comes in), [`LOGS`] (output
//! goes out as it is), [`SAMPLES`] (one JSON object a line), blobs and archives of images (their bytes
//! as they are).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ImageRef};
use crate::id::Epoch;
use crate::name::{NodeName, PartName, ShareName};
use crate::port::container::ContainerSpec;
use crate::port::disk::{Needs, Pin};
use crate::port::nodes::{Issuer, Removal};
use crate::port::part::{PartImage, PartRemoval, PartSpec};
use crate::port::share;
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
/// All parts of the platform; below it `/<part>/logs`, with [`TailQuery`].
pub const PARTS: &str = "/v1/parts";
pub const ENSURE_PART: &str = "/v1/parts/ensure";
pub const REMOVE_PART: &str = "/v1/parts/remove";
pub const RESTART_PART: &str = "/v1/parts/restart";
/// All images by the registry's names; below it `/<id>/archive`.
pub const IMAGES: &str = "/v1/images";
pub const PUSH_IMAGE: &str = "/v1/images/push";
pub const REGISTRY: &str = "/v1/registry";
pub const SHARES: &str = "/v1/shares";
/// With a [`Consent`]: asked by other agents.
pub const CONSENT: &str = "/v1/parts/consent";
/// With a [`BuildCode`].
pub const BUILD_CODE: &str = "/v1/parts/build";
/// All blobs, by digest, or as [`Held`] with a [`BlobsQuery`]; below it `/<digest>`.
pub const BLOBS: &str = "/v1/blobs";
/// What is on the disk.
pub const DISK: &str = "/v1/disk";
/// With a [`Collection`](crate::port::disk::Collection).
pub const COLLECT: &str = "/v1/disk/collect";
pub const PINS: &str = "/v1/disk/pins";
/// With a [`NeedsAre`].
pub const NEEDS: &str = "/v1/disk/needs";

/// The largest body of an order that is JSON.
pub const ORDER_BYTES: usize = 2 * 1024 * 1024;

/// The code of the problem that a stale epoch is answered with.
pub const STALE_EPOCH: &str = "STALE_EPOCH";
/// There is no such blob on this node.
pub const BLOB_ABSENT: &str = "BLOB_ABSENT";
/// The bytes do not have the digest that they were sent under; the problem's detail is theirs.
pub const BLOB_MISMATCH: &str = "BLOB_MISMATCH";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ensure {
    pub issuer: Issuer,
    pub spec: ContainerSpec,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    pub issuer: Issuer,
    pub removal: Removal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    pub issuer: Issuer,
    pub image: ImageRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    pub issuer: Issuer,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildQuery {
    /// The repository in the registry, without the registry's address.
    pub repository: String,
    pub service: ServiceName,
    pub epoch: Epoch,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    pub issuer: Issuer,
    pub pins: Vec<Pin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsAre {
    pub issuer: Issuer,
    pub needs: Needs,
    /// Whether it adds to what was said before of the same look: all may be more than one order holds. Agents of before take
    /// what comes last for all.
    #[serde(default)]
    pub adds: bool,
}

/// What was built and pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    pub image: ImageRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    pub tail: usize,
    pub follow: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsurePart {
    pub issuer: Issuer,
    pub spec: PartSpec,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovePart {
    pub issuer: Issuer,
    pub removal: PartRemoval,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPart {
    pub issuer: Issuer,
    pub name: PartName,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushImage {
    pub issuer: Issuer,
    pub image: PartImage,
    /// The repository in the registry, without the registry's address.
    pub repository: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAt {
    pub issuer: Issuer,
    pub registry: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareIs {
    pub issuer: Issuer,
    pub name: ShareName,
    pub access: share::Access,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildCode {
    pub issuer: Issuer,
    pub code: share::Code,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailQuery {
    pub tail: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobsQuery {
    /// Whether it is to be said, too, which are free.
    #[serde(default)]
    pub free: bool,
}

/// The blobs of a node, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub held: Vec<Digest>,
    /// Those among them of which nobody has to make copies, as far as this node knows. None goes by this.
    pub free: Vec<Digest>,
}

/// An agent asks another whether it may end its own part of an ensemble, which answers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    pub part: PartName,
    /// Whose agent asks.
    pub node: NodeName,
    /// How long the part may be away; with 0 the consent is given back.
    pub seconds: u32,
}

/// What the other agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consented {
    /// Why not; none if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// How an agent says no: a problem document with two members more. Its code is a failure code,
/// [`STALE_EPOCH`], [`BLOB_ABSENT`], [`BLOB_MISMATCH`], or one of HTTP's own.
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
