//! The alarm that a brake holds: `lifecycle/alarms/<kind>`.

use common::id::RequestId;
use common::record::owed::Owed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::brake::Kind;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub(crate) schema: u32,
    pub(crate) kind: Kind,
    pub(crate) holds: bool,
    /// Whether it is about what is seen, and not about what was asked for.
    #[serde(default = "seen")]
    pub(crate) is_seen: bool,
    /// Names this time; answers and the end carry the same.
    pub(crate) incident: RequestId,
    pub(crate) text: String,
    pub(crate) since: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) owed: Vec<Owed>,
}

/// There were no others.
fn seen() -> bool {
    true
}
