//! Messages a record owes the world: written with the change that causes them, cleared after the
//! broker's acknowledgement.

use serde::{Deserialize, Serialize};

use crate::id::MessageId;
use crate::message::Envelope;

/// One owed message. A crash repeats it under the same id, never loses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    pub message_id: MessageId,
    /// The instance: the key of the record on the bus.
    pub key: String,
    pub envelope: Envelope,
    /// The header `details`, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}
