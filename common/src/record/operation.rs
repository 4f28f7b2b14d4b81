//! Operations: which requests were accepted, and how each ended. The memory of de-duplication.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::failure::Failure;
use crate::topic::Topic;

/// How long an operation is remembered.
pub const REMEMBERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(8 * 24);

/// `operations/<hh>/<request id>.<service>.<kind>`: written by the service that accepted the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub schema: u32,
    /// The hash of what was asked: the same id with another hash is a conflict.
    pub fingerprint: String,
    pub accepted_at: Timestamp,
    /// None until the request has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl Operation {
    pub fn accepted(fingerprint: String, at: Timestamp) -> Self {
        Operation { schema: 1, fingerprint, accepted_at: at, outcome: None }
    }
}

/// How a request ended: exactly one of these, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "is")]
pub enum Outcome {
    Succeeded {
        /// The same JSON as in the header `details` of the message that told it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<serde_json::Value>,
    },
    Failed {
        failure: Failure,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        details: Option<serde_json::Value>,
    },
    Superseded,
}

/// The hash that tells a repeat from a reuse of the id.
pub fn fingerprint(topic: Topic, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(topic.as_str().as_bytes());
    hash.update([0]);
    hash.update(text.as_bytes());
    hex(hash.finalize().get(..16).unwrap_or_default())
}
