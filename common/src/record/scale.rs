//! Scale: `scale/<instance>`, the wanted number of replicas. Written by the load balancer; the
//! deployment manager watches it. Without it: what the instance pins, else 1.

use serde::{Deserialize, Serialize};

use crate::id::{Generation, RequestId};
use crate::name::LegacyName;
use crate::record::deployment::Deployment;
use crate::record::owed::Owed;

/// How many replicas an instance should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    pub schema: u32,
    pub instance: LegacyName,
    pub replicas: u32,
    /// Counts the changes.
    pub generation: Generation,
    /// The deployment's generation that it was accepted for.
    #[serde(default)]
    pub deployment: Generation,
    pub request: RequestId,
    #[serde(default)]
    pub owed: Vec<Owed>,
}

impl Scale {
    /// Whether it says how many replicas a deployment should have: one that was deployed anew since begins with what
    /// the instance pins.
    pub fn is_for(&self, deployment: &Deployment) -> bool {
        self.deployment >= deployment.since
    }
}
