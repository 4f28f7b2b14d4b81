//! What the brakes of this service are of.

pub(crate) use chassis::brake::{Brake, Count, Rule};
use serde::{Deserialize, Serialize};

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Machines,
    /// Instances of services on machines that answer.
    Services,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Machines, Kind::Services];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Machines => "machines",
            Kind::Services => "services",
        }
    }
}
