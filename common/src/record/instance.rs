//! Instances: `instances/<hh>/<instance>`, what a user asked to be deployed. Written by the app manager.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::course::Share;
use super::kept::Way;
use super::owed::Owed;
use crate::failure::Failure;
use crate::id::{Generation, ReleaseNumber, RequestId};
use crate::name::{AppName, LegacyName, UserName};

/// An instance of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub schema: u32,
    pub name: LegacyName,
    pub app: AppName,
    /// Which release is wanted.
    pub release: ReleaseNumber,
    /// How that came about.
    #[serde(default)]
    pub way: Way,
    /// With [`Way::Canary`]: which share of the requests it is to get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Share>,
    pub owner: UserName,
    /// How many replicas the user pinned, before any scaling.
    pub replicas: u32,
    pub created_at: Timestamp,
    /// Counts what the user asked of this instance.
    pub generation: Generation,
    pub state: State,
    /// The request that the state belongs to.
    pub request: RequestId,
    /// Who made that request; none where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserName>,
    /// `http://<ip>:<port>`, as last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The completed `app.json` of document 001's paths, mounted read-only into the containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_json: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
    #[serde(default)]
    pub owed: Vec<Owed>,
}

/// What the app manager has heard of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for the next time of its schedule; nothing of it runs.
    Scheduled,
    Deploying,
    Deployed,
    DeployFailed,
    Stopping,
    Stopped,
    StopFailed,
}
