//! What is to be done next. It follows from the records alone, so that whoever leads goes on where the one before
//! has come to.

mod keep;
mod sight;
mod start;
mod stop;
#[cfg(test)]
mod tests;

use std::fmt;

use common::failure::Failure;
use common::name::NodeName;
use common::record::platform::{PlatformGoal, PlatformState};
use common::service::ServiceName;
use jiff::{SignedDuration, Timestamp};

pub(crate) use sight::{Entry, Observed, Seen};

/// One step. Whatever is left undone is found again by the next look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Says where the service should run, or that it should not.
    Wish { service: ServiceName, goal: PlatformGoal, nodes: Vec<NodeName> },
    /// Notes that the service is worked at from now on.
    Enter(ServiceName),
    /// Gives the service its front door and its entry in document 001's registry.
    Register(ServiceName),
    /// Takes both away.
    Deregister(ServiceName),
    /// The goal cannot be reached.
    GiveUp(Failure),
    /// The goal is reached, or what a failed start began is taken back.
    Conclude,
    /// Somebody else has to do something first; until then at the latest.
    Wait(Timestamp),
    /// Everything is as it should be.
    Rest,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Wish { service, goal: PlatformGoal::On, nodes } => {
                let nodes: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                write!(f, "run {service} on {}", nodes.join(", "))
            }
            Step::Wish { service, goal: PlatformGoal::Off, .. } => write!(f, "end {service}"),
            Step::Enter(service) => write!(f, "turn to {service}"),
            Step::Register(service) => write!(f, "register {service}"),
            Step::Deregister(service) => write!(f, "deregister {service}"),
            Step::GiveUp(failure) => write!(f, "give up: {failure}"),
            Step::Conclude => f.write_str("conclude"),
            Step::Wait(until) => write!(f, "wait until {until}"),
            Step::Rest => f.write_str("rest"),
        }
    }
}

/// How long things may take, and how many instances there are.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) instances: usize,
    /// The machines of the edges; without one the load balancer goes to the first machine.
    pub(crate) edges: Vec<String>,
    /// A service must be ready, and then be registered, within this.
    pub(crate) ready_within: SignedDuration,
    /// A service must be deregistered, and then be gone, within this.
    pub(crate) stop_within: SignedDuration,
}

/// The next step towards the platform's goal, or to keep it.
pub(crate) fn next(observed: &Observed, rules: &Rules) -> Step {
    match (observed.record.goal, observed.record.state) {
        (PlatformGoal::On, PlatformState::Accepted | PlatformState::Changing) => {
            start::next(observed, rules)
        }
        (PlatformGoal::On, PlatformState::Undoing) => stop::undo(observed, rules),
        (
            PlatformGoal::Off,
            PlatformState::Accepted | PlatformState::Changing | PlatformState::Undoing,
        ) => stop::next(observed, rules),
        (_, PlatformState::Running | PlatformState::Stopped | PlatformState::Failed) => {
            keep::next(observed, rules)
        }
    }
}
