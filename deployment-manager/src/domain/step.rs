//! What may be done next, as a value that prints as a sentence.

use std::fmt;

use common::digest::ImageRef;
use common::failure::Failure;
use common::id::Generation;
use common::name::NodeName;
use common::record::deployment::Slot;
use jiff::Timestamp;

/// One step. Steps that only change the record need no port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the node manager for places for this many new replicas.
    Ask { generation: Generation, count: usize },
    /// Ask once more for these.
    AskAgain { slots: Vec<Slot> },
    /// Build the release's image.
    Build { node: NodeName },
    /// Make these replicas' containers run.
    Start { slots: Vec<Slot>, image: ImageRef },
    /// Look whether these replicas answer.
    Probe { slots: Vec<Slot> },
    /// Have the edge serve these replicas and no others; `waiting` ones stay, without requests.
    Route { slots: Vec<Slot>, waiting: Vec<Slot> },
    /// Have the edge serve nobody.
    Unroute { waiting: Vec<Slot> },
    /// Note that these replicas are to go, which never got requests.
    Withdraw { slots: Vec<Slot> },
    /// Remove these replicas; `lost` ones stand on nodes that cannot be told.
    Remove { slots: Vec<Slot>, lost: Vec<Slot> },
    /// Ask through the front door, then say that the deployment runs.
    Finish,
    /// Give the deploy up and unmake it.
    GiveUp { failure: Failure },
    /// Take a canary away that was seen to fail.
    BackOut { failure: Failure },
    /// Say that the request failed.
    Fail,
    /// Say that the deployment is stopped.
    Stopped,
    /// Note that nothing is left.
    Bury,
    /// Remove the record.
    Forget,
    /// Make routed replicas' containers run again that are missing.
    Restore { slots: Vec<Slot>, image: ImageRef },
    /// Look whether these replicas end again and again.
    Examine { slots: Vec<Slot> },
    /// Take a replica out that was moved to another node.
    Leave,
    /// Leave a replica where it is that was to move.
    Stay { reason: String },
    /// Have document 001's registry say again who is served.
    Register,
    /// Nothing, until something changes or this time.
    Rest { until: Option<Timestamp> },
}

impl Step {
    /// The label of metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Step::Ask { .. } => "ask",
            Step::AskAgain { .. } => "ask-again",
            Step::Build { .. } => "build",
            Step::Start { .. } => "start",
            Step::Probe { .. } => "probe",
            Step::Route { .. } => "route",
            Step::Unroute { .. } => "unroute",
            Step::Withdraw { .. } => "withdraw",
            Step::Remove { .. } => "remove",
            Step::Finish => "finish",
            Step::GiveUp { .. } => "give-up",
            Step::BackOut { .. } => "back-out",
            Step::Leave => "leave",
            Step::Stay { .. } => "stay",
            Step::Fail => "fail",
            Step::Stopped => "stopped",
            Step::Bury => "bury",
            Step::Forget => "forget",
            Step::Restore { .. } => "restore",
            Step::Examine { .. } => "examine",
            Step::Register => "register",
            Step::Rest { .. } => "rest",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Ask { generation, count: 1 } => {
                write!(f, "ask for a node for a replica of generation {generation}")
            }
            Step::Ask { generation, count } => {
                write!(f, "ask for nodes for {count} replicas of generation {generation}")
            }
            Step::AskAgain { slots } => write!(f, "ask again for a node for {}", Replicas(slots)),
            Step::Build { node } => write!(f, "build the image on {node}"),
            Step::Start { slots, .. } => write!(f, "start {}", Replicas(slots)),
            Step::Probe { slots } => write!(f, "look whether {} can be reached", Replicas(slots)),
            Step::Route { slots, .. } if slots.is_empty() => write!(f, "route to nobody"),
            Step::Route { slots, .. } => write!(f, "route to {}", Replicas(slots)),
            Step::Unroute { .. } => write!(f, "remove the route"),
            Step::Withdraw { slots } => write!(f, "withdraw {}", Replicas(slots)),
            Step::Remove { slots, lost } => match (slots.as_slice(), lost.as_slice()) {
                ([], lost) => write!(f, "leave {} to the sweep", Replicas(lost)),
                (slots, []) => write!(f, "remove {}", Replicas(slots)),
                (slots, lost) => {
                    write!(f, "remove {}, leave {} to the sweep", Replicas(slots), Replicas(lost))
                }
            },
            Step::Finish => write!(f, "ask through the front door, then say that it runs"),
            Step::GiveUp { failure } => write!(f, "give up: {failure}"),
            Step::BackOut { failure } => write!(f, "take the canary away: {failure}"),
            Step::Leave => write!(f, "let go of the replica that was moved"),
            Step::Stay { reason } => write!(f, "move nothing: {reason}"),
            Step::Fail => write!(f, "say that it failed"),
            Step::Stopped => write!(f, "say that it is stopped"),
            Step::Bury => write!(f, "note that nothing is left"),
            Step::Forget => write!(f, "forget the deployment"),
            Step::Restore { slots, .. } => write!(f, "bring back {}", Replicas(slots)),
            Step::Examine { slots } => write!(f, "look why {} ended", Replicas(slots)),
            Step::Register => write!(f, "register who is served"),
            Step::Rest { until: None } => write!(f, "rest"),
            Step::Rest { until: Some(until) } => write!(f, "rest until {until}"),
        }
    }
}

/// `replica 1 on node-1`, `replicas 1 on node-1 and 2 on node-2`.
struct Replicas<'a>(&'a [Slot]);

impl fmt::Display for Replicas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.0.len() == 1 { "replica" } else { "replicas" })?;
        for (index, slot) in self.0.iter().enumerate() {
            let joint = match index {
                0 => " ",
                _ if index + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{joint}{}", slot.number)?;
            if let Some(place) = &slot.place {
                write!(f, " on {}", place.node)?;
            }
        }
        Ok(())
    }
}
