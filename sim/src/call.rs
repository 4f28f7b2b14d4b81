//! What services ask of the world, call by call, and what may become of a call.

use std::fmt;

/// One method of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    StoreGet,
    StoreChildren,
    StoreCommit,
    StoreSync,
    StoreWatch,
    BusTopics,
    BusPublish,
    BusConsume,
    BusNext,
    BusCommit,
    NodesEnsure,
    NodesRemove,
    NodesList,
    NodesBuild,
    NodesProbe,
    NodesSamples,
    NodesAnnounce,
    EdgeLoad,
    EdgeStatus,
    EdgeInFlight,
    EdgeProbe,
    RoutesSet,
    RoutesRemove,
    RoutesProbe,
    BlobsGet,
    BlobsPut,
    PartsEnsure,
    PartsRemove,
    PartsRestart,
    PartsList,
    PartsImages,
    PartsPush,
    PartsRegistry,
    MachinesLook,
    MachinesRestart,
    Enrol,
    ProbesLook,
    WebhooksTell,
}

impl CallKind {
    pub const ALL: [CallKind; 38] = [
        CallKind::StoreGet,
        CallKind::StoreChildren,
        CallKind::StoreCommit,
        CallKind::StoreSync,
        CallKind::StoreWatch,
        CallKind::BusTopics,
        CallKind::BusPublish,
        CallKind::BusConsume,
        CallKind::BusNext,
        CallKind::BusCommit,
        CallKind::NodesEnsure,
        CallKind::NodesRemove,
        CallKind::NodesList,
        CallKind::NodesBuild,
        CallKind::NodesProbe,
        CallKind::NodesSamples,
        CallKind::NodesAnnounce,
        CallKind::EdgeLoad,
        CallKind::EdgeStatus,
        CallKind::EdgeInFlight,
        CallKind::EdgeProbe,
        CallKind::RoutesSet,
        CallKind::RoutesRemove,
        CallKind::RoutesProbe,
        CallKind::BlobsGet,
        CallKind::BlobsPut,
        CallKind::PartsEnsure,
        CallKind::PartsRemove,
        CallKind::PartsRestart,
        CallKind::PartsList,
        CallKind::PartsImages,
        CallKind::PartsPush,
        CallKind::PartsRegistry,
        CallKind::MachinesLook,
        CallKind::MachinesRestart,
        CallKind::Enrol,
        CallKind::ProbesLook,
        CallKind::WebhooksTell,
    ];

    /// Whether it changes the world: such a call may have its effect and lose its answer.
    pub fn has_effect(self) -> bool {
        matches!(
            self,
            CallKind::StoreCommit
                | CallKind::BusPublish
                | CallKind::BusCommit
                | CallKind::NodesEnsure
                | CallKind::NodesRemove
                | CallKind::NodesBuild
                | CallKind::NodesAnnounce
                | CallKind::EdgeLoad
                | CallKind::RoutesSet
                | CallKind::RoutesRemove
                | CallKind::BlobsPut
                | CallKind::PartsEnsure
                | CallKind::PartsRemove
                | CallKind::PartsRestart
                | CallKind::PartsPush
                | CallKind::PartsRegistry
                | CallKind::MachinesRestart
                | CallKind::Enrol
                | CallKind::WebhooksTell
        )
    }
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing goes wrong.
    None,
    /// It takes far longer than usual.
    Slow,
    /// Nothing is done, and the caller is told so.
    Refused,
    /// Nothing is done, and the caller cannot know.
    RequestLost,
    /// It is done, and the caller cannot know.
    AnswerLost,
    /// It is done after nobody waits for it any more.
    Late,
    /// Of a message: it arrives twice.
    Twice,
    /// The caller ends just before it is done.
    CrashBefore,
    /// The caller ends just after it was done.
    CrashAfter,
}

impl Fault {
    pub const ALL: [Fault; 9] = [
        Fault::None,
        Fault::Slow,
        Fault::Refused,
        Fault::RequestLost,
        Fault::AnswerLost,
        Fault::Late,
        Fault::Twice,
        Fault::CrashBefore,
        Fault::CrashAfter,
    ];

    /// What no call of a kind can meet, though others with an effect do, and why.
    pub const IMPOSSIBLE: [(CallKind, Fault, &str); 1] = [(
        CallKind::BusCommit,
        Fault::Late,
        "a position is committed by the consumer that holds the partition, and ends with it",
    )];

    /// Whether a call of this kind can meet it.
    pub fn may_meet(self, kind: CallKind) -> bool {
        if Self::IMPOSSIBLE.iter().any(|(of, fault, _)| (*of, *fault) == (kind, self)) {
            return false;
        }
        match self {
            Fault::None | Fault::Slow => true,
            Fault::Refused => kind != CallKind::StoreWatch,
            Fault::Twice => matches!(kind, CallKind::BusPublish | CallKind::BusNext),
            Fault::RequestLost
            | Fault::AnswerLost
            | Fault::Late
            | Fault::CrashBefore
            | Fault::CrashAfter => kind.has_effect(),
        }
    }
}
