//! A change of one service that somebody waits for: `platform/changes/<service>`. Written by the platform initializer.

use std::num::NonZeroU16;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::owed::Owed;
use super::platform::ServiceImage;
use crate::failure::Failure;
use crate::id::{Generation, RequestId};
use crate::name::NodeName;
use crate::service::ServiceName;

/// The newest change of a service that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    pub schema: u32,
    pub service: ServiceName,
    /// Whose outcome it is.
    pub request: RequestId,
    pub change: Change,
    pub stage: ChangeStage,
    /// The wish that has the change in it, [`super::platform::PlacedService::generation`].
    pub generation: Generation,
    pub since: Timestamp,
    /// Then it is given up.
    pub deadline: Timestamp,
    /// Why the service is as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Owed>,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Change {
    /// Another version. None for the platform's own.
    Upgrade {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<ServiceImage>,
        /// What is gone back to if it does not become ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<ServiceImage>,
    },
    /// An instance on another machine.
    Move { from: NodeName, to: NodeName },
    /// Another number of instances.
    Scale {
        instances: NonZeroU16,
        /// What is gone back to if those that are new do not become ready.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<NonZeroU16>,
        added: Vec<NodeName>,
        removed: Vec<NodeName>,
    },
}

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStage {
    /// The new version, or the instance on the other machine, is not ready or not registered yet.
    Proving,
    /// What is on the machine that was moved from is being ended.
    Leaving,
    Done,
    /// Given up, or another request took its place: the service is as it was before.
    Failed,
}
