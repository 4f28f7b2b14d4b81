//! What was last seen of a machine's agent.

use std::time::Duration;

use common::name::PartName;
use common::port::container::ContainerState;
use common::port::part::Part;

/// An agent as it looks from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sighting {
    /// Nobody has looked for long enough to say anything.
    Unknown,
    Answers {
        /// Sorted by name.
        parts: Vec<Part>,
    },
    /// It does not answer, or what answers there is not to be believed: its machine is quarantined.
    Silent { lasting: Duration },
}

impl Sighting {
    pub(crate) fn answers(&self) -> bool {
        matches!(self, Sighting::Answers { .. })
    }

    /// How long it has been silent; none where it answers or nothing is known.
    pub(crate) fn silence(&self) -> Option<Duration> {
        match self {
            Sighting::Silent { lasting } => Some(*lasting),
            Sighting::Unknown | Sighting::Answers { .. } => None,
        }
    }

    /// All that its machine has; none where it does not answer.
    pub(crate) fn parts(&self) -> Option<&[Part]> {
        match self {
            Sighting::Answers { parts } => Some(parts),
            Sighting::Unknown | Sighting::Silent { .. } => None,
        }
    }

    /// The part of this name, where the agent answers and has it.
    pub(crate) fn part(&self, name: &PartName) -> Option<&Part> {
        match self {
            Sighting::Answers { parts } => parts.iter().find(|part| part.name == *name),
            Sighting::Unknown | Sighting::Silent { .. } => None,
        }
    }
}

/// Whether a part does what it is for: of an ensemble, with the others.
pub(crate) fn is_ready(part: &Part) -> bool {
    matches!(part.state, ContainerState::Running { .. })
        && part.healthy == Some(true)
        && !part.apart
}
