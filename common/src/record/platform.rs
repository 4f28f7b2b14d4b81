//! The platform as a whole: `platform`, and where its services should run, `platform/services/<service>`, both
//! written by the platform initializer; how they are, `running/<service>`, written by the lifecycle manager.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::owed::Owed;
use crate::digest::{self, ImageRef};
use crate::failure::Failure;
use crate::id::{Generation, RequestId};
use crate::name::{NodeName, PartName};
use crate::port::part::PartImage;
use crate::port::share;
use crate::service::ServiceName;

/// Whether the platform's services should run, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformRecord {
    pub schema: u32,
    pub goal: PlatformGoal,
    /// Counts the accepted starts and stops.
    pub generation: Generation,
    /// Ordered within a generation, but for [`PlatformState::Failed`].
    pub state: PlatformState,
    /// The request that set the goal; its outcome is told on `first_topic`.
    pub request: RequestId,
    pub deadline: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub since: Timestamp,
    /// Further requests for the goal that is on its way: each is told the same outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<RequestId>,
    /// The services that this start began, in order: what it takes back if it fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<ServiceName>,
    /// What is worked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<PlatformStage>,
    /// The last start or stop that succeeded: what document 001's `platform_status.json` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<PlatformReached>,
    #[serde(default)]
    pub owed: Vec<Owed>,
}

/// The service that a start or a stop has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformStage {
    pub service: ServiceName,
    pub since: Timestamp,
}

/// A goal that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformReached {
    pub goal: PlatformGoal,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformGoal {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformState {
    Accepted,
    /// Services are on their way to the goal.
    Changing,
    /// A start failed: what it started is being stopped.
    Undoing,
    Running,
    Stopped,
    Failed,
}

/// Where a service should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedService {
    pub schema: u32,
    pub service: ServiceName,
    /// Counts the changes of this record's wishes.
    pub generation: Generation,
    pub goal: PlatformGoal,
    /// One instance on each, in order; none where [`PlacedService::goal`] is off and the placement was forgotten.
    pub nodes: Vec<NodeName>,
    /// Another version than the platform's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ServiceImage>,
    /// How many instances are wanted, where somebody has said so; else as many as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<NonZeroU16>,
}

/// A version of a service, as one text: `[registry/]repository@sha256:…`, or `share://<share>/<folder>@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ServiceImage {
    /// In the registry.
    Named(ImageRef),
    /// Built on each of its machines.
    Built(share::Code),
}

impl FromStr for ServiceImage {
    type Err = NotServiceImage;

    fn from_str(text: &str) -> Result<Self, NotServiceImage> {
        if text.starts_with(share::Code::SCHEME) {
            return Ok(ServiceImage::Built(text.parse()?));
        }
        Ok(ServiceImage::Named(text.parse()?))
    }
}

/// Why a text is no version of a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotServiceImage {
    #[error(transparent)]
    Image(#[from] digest::Error),
    #[error(transparent)]
    Code(#[from] share::NotCode),
}

impl fmt::Display for ServiceImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceImage::Named(image) => image.fmt(f),
            ServiceImage::Built(code) => code.fmt(f),
        }
    }
}

impl TryFrom<String> for ServiceImage {
    type Error = NotServiceImage;

    fn try_from(text: String) -> Result<Self, NotServiceImage> {
        text.parse()
    }
}

impl From<ServiceImage> for String {
    fn from(image: ServiceImage) -> Self {
        image.to_string()
    }
}

impl From<ImageRef> for ServiceImage {
    fn from(image: ImageRef) -> Self {
        ServiceImage::Named(image)
    }
}

impl From<ServiceImage> for PartImage {
    fn from(image: ServiceImage) -> Self {
        match image {
            ServiceImage::Named(image) => PartImage::Named(image),
            ServiceImage::Built(code) => PartImage::Built(code),
        }
    }
}

/// How a placed service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningService {
    pub schema: u32,
    pub service: ServiceName,
    /// The newest [`PlacedService::generation`] that this is about.
    pub generation: Generation,
    pub instances: Vec<RunningInstance>,
    /// The last version that was tried in vain; none once another one was rolled out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backed_out: Option<BackedOut>,
}

/// A version that did not become ready: what ran before runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedOut {
    /// None for the platform's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ServiceImage>,
    /// That image runs, by other settings: those that were said with it were tried in vain.
    #[serde(default)]
    pub settings: bool,
    /// Of the wish that wanted it.
    pub generation: Generation,
    pub failure: Failure,
    pub at: Timestamp,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningInstance {
    pub part: PartName,
    pub node: NodeName,
    /// Its plain listener, which only its own machine may be able to reach.
    pub address: SocketAddr,
    /// Its mutual-TLS listener, for other services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal: Option<SocketAddr>,
    /// The version that it runs, or is to run; none for the platform's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ServiceImage>,
    pub state: InstanceState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Wanted, and not yet ready.
    Starting,
    Ready,
    /// Was ready, and does not answer.
    Silent,
    /// Could not be made; tried again with growing pauses.
    Failed,
    /// No longer wanted, and not yet gone.
    Stopping,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_version_is_an_image_or_code_and_both_are_texts() {
        let digest = Digest::of(b"x");
        for text in [
            format!("127.0.0.1:5000/avishkar/platform@{digest}"),
            format!("share://code/a@{digest}"),
        ] {
            let image: ServiceImage = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&image).unwrap(), format!("{text:?}"));
            assert_eq!(serde_json::from_str::<ServiceImage>(&format!("{text:?}")).unwrap(), image);
        }
        for text in ["", "avishkar/platform:latest", "share://code/a", "share://../a@sha256:00"] {
            assert!(text.parse::<ServiceImage>().is_err(), "{text}");
        }
    }
}
