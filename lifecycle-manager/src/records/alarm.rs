//! An alarm, that a brake holds or that a member of an ensemble lost its data: `lifecycle/alarms/<kind>`.

use common::id::RequestId;
use common::record::owed::Owed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::brake::Kind;

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    Machines,
    Services,
    /// Those of ZooKeeper and Kafka that lost their data and wait for the others.
    Members,
}

impl Subject {
    pub(crate) const ALL: [Subject; 3] = [Subject::Machines, Subject::Services, Subject::Members];

    /// The brake that it is about, where it is about one.
    pub(crate) fn brake(self) -> Option<Kind> {
        match self {
            Subject::Machines => Some(Kind::Machines),
            Subject::Services => Some(Kind::Services),
            Subject::Members => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.brake().map_or("members", Kind::as_str)
    }
}

impl From<Kind> for Subject {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Machines => Subject::Machines,
            Kind::Services => Subject::Services,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub(crate) schema: u32,
    pub(crate) kind: Subject,
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
