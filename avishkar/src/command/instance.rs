//! An instance as the platform shows it.

use common::port::routes::Visitors;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/instances/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) app: String,
    /// What was asked for last.
    pub(crate) release: u32,
    /// What is served; none where nothing is.
    #[serde(default)]
    pub(crate) serving: Option<u32>,
    pub(crate) state: String,
    /// How far the deployment manager is, where it is at work.
    #[serde(default)]
    pub(crate) step: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) replicas: Vec<Replica>,
    /// What gets a share of the requests beside what is served.
    #[serde(default)]
    pub(crate) canary: Option<Canary>,
    /// What visitors ask of it; none while nobody counts.
    #[serde(default)]
    pub(crate) traffic: Option<Visitors>,
    #[serde(default)]
    pub(crate) failure: Option<Reason>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Canary {
    pub(crate) release: u32,
    pub(crate) share: u8,
    pub(crate) promoted: bool,
}

impl Instance {
    /// Whether the app manager has yet to hear how this request ended.
    pub(crate) fn awaits(&self, request_id: &str) -> bool {
        self.request_id == request_id && matches!(self.state.as_str(), "deploying" | "stopping")
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Replica {
    pub(crate) slot: u32,
    pub(crate) node: Option<String>,
    pub(crate) state: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) hint: Option<String>,
    #[serde(default)]
    pub(crate) output: Vec<String>,
}

/// `202 Accepted`: what was asked, and the id to ask after.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) instance: String,
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) waiting_for: Option<String>,
}
