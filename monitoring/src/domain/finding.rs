//! What one look at a target found.

use std::fmt;

use common::port::probes::Ill;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Well,
    Bad(Complaint),
    /// Nothing was learned: neither well nor down follows from it.
    Unknown,
}

/// What was wrong. It never says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// Of a service, asked directly.
    Service(Ill),
    /// The node manager says so.
    NodeDead,
    /// The edge took the request and reached no replica, or one that did not answer in time where it says that it does.
    NoReplica(u16),
    /// A replica took the request and did not answer in time, and never said that it would.
    Slow,
    /// The edge itself did not take the request.
    NoEdge,
    /// Too many targets of a kind at once.
    Many { bad: usize, known: usize },
}

impl Complaint {
    /// Whether restarting the target could help at all.
    pub(crate) fn is_its_own(self) -> bool {
        match self {
            Complaint::Service(_) | Complaint::NodeDead | Complaint::NoReplica(_) => true,
            Complaint::Slow | Complaint::NoEdge | Complaint::Many { .. } => false,
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Complaint::Service(ill) => ill.fmt(f),
            Complaint::NodeDead => f.write_str("no sample of it comes"),
            Complaint::NoReplica(status) => write!(f, "its front door answered {status}"),
            Complaint::Slow => f.write_str(
                "it did not answer in time; as it says no path for health, it may be slow",
            ),
            Complaint::NoEdge => f.write_str("its front door did not answer"),
            Complaint::Many { bad, known } => {
                write!(f, "{bad} of {known} look down at once, so nothing is restarted")
            }
        }
    }
}
