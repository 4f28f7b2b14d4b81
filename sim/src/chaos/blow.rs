//! The kinds of larger faults, and how one is drawn.

use common::name::NodeName;
use common::service::ServiceName;

use crate::dice::Dice;
use crate::fault::{Point, Port};
use crate::services::SERVICES;
use crate::world::World;

/// A large fault.
#[derive(Debug, Clone)]
pub(crate) enum Blow {
    Crash(ServiceName),
    /// A crash around the effect of a call.
    CrashAtCall(ServiceName, Point, u64),
    /// Not scheduled for a while, then it goes on.
    Pause(ServiceName),
    /// Another instance starts while the old one lives.
    SecondLeader(ServiceName),
    /// The same, and the old one's orders are on their way for long.
    LaggingLeader(ServiceName),
    /// An instance on another machine waits for its turn.
    Standby(ServiceName),
    CutPort(ServiceName, Port),
    SessionExpires(ServiceName),
    StaleReads(ServiceName),
    LostWatches(ServiceName),
    BusAway,
    RecordsTwice,
    NodeDead(NodeName),
    NodePartitioned(NodeName),
    NodeHung(NodeName),
    NodeGray(NodeName),
    NodeCutFrom(ServiceName, NodeName),
    /// An administrator drains it, and returns it later.
    NodeDrained(NodeName),
    DiskFull(NodeName),
    PortTaken(NodeName),
    ContainersEnd(NodeName),
    /// Somebody removes containers by hand, and something else takes their ports.
    ContainersRemoved(NodeName),
    EdgeLosesItsDisk,
    /// It ends, and comes back with the table that it had.
    EdgeDies,
    /// The edge starts again, and another program has one of its front ports.
    FrontPortHeld(u16),
    ClockJumps(ServiceName, i64),
}

/// Names all kinds of an enum of blows, and says of which one is.
macro_rules! kinds {
    ($of:ident: $($pattern:pat => $name:expr,)*) => {
        /// All that may strike.
        pub(crate) const KINDS: &[&str] = &[$($name),*];

        impl $of {
            pub(super) fn kind(&self) -> &'static str {
                match self { $($pattern => $name,)* }
            }
        }
    };
}
pub(crate) use kinds;

/// It strikes when such a call is made.
pub(crate) const CRASH_AT_CALL: &str = "CrashAtCall";

kinds! { Blow:
    Blow::Crash(_) => "Crash",
    Blow::CrashAtCall(..) => CRASH_AT_CALL,
    Blow::Pause(_) => "Pause",
    Blow::SecondLeader(_) => "SecondLeader",
    Blow::LaggingLeader(_) => "LaggingLeader",
    Blow::Standby(_) => "Standby",
    Blow::CutPort(..) => "CutPort",
    Blow::SessionExpires(_) => "SessionExpires",
    Blow::StaleReads(_) => "StaleReads",
    Blow::LostWatches(_) => "LostWatches",
    Blow::BusAway => "BusAway",
    Blow::RecordsTwice => "RecordsTwice",
    Blow::NodeDead(_) => "NodeDead",
    Blow::NodePartitioned(_) => "NodePartitioned",
    Blow::NodeHung(_) => "NodeHung",
    Blow::NodeGray(_) => "NodeGray",
    Blow::NodeCutFrom(..) => "NodeCutFrom",
    Blow::NodeDrained(_) => "NodeDrained",
    Blow::DiskFull(_) => "DiskFull",
    Blow::PortTaken(_) => "PortTaken",
    Blow::ContainersEnd(_) => "ContainersEnd",
    Blow::ContainersRemoved(_) => "ContainersRemoved",
    Blow::EdgeLosesItsDisk => "EdgeLosesItsDisk",
    Blow::EdgeDies => "EdgeDies",
    Blow::FrontPortHeld(_) => "FrontPortHeld",
    Blow::ClockJumps(..) => "ClockJumps",
}

/// Those that apps have; the last one is nobody's as a rule.
const FRONT_PORTS: [u16; 5] = [2000, 2001, 2002, 2004, 2006];

/// What may be struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// The platform only: what runs on nodes and is served at the edge comes to no harm.
    ControlPlane,
}

impl Blow {
    /// Whether it does no harm to what runs and is served.
    fn spares_apps(&self) -> bool {
        match self {
            Blow::Crash(_)
            | Blow::CrashAtCall(..)
            | Blow::Pause(_)
            | Blow::SecondLeader(_)
            | Blow::LaggingLeader(_)
            | Blow::Standby(_)
            | Blow::CutPort(..)
            | Blow::SessionExpires(_)
            | Blow::StaleReads(_)
            | Blow::LostWatches(_)
            | Blow::BusAway
            | Blow::RecordsTwice
            | Blow::NodePartitioned(_)
            | Blow::NodeHung(_)
            | Blow::NodeGray(_)
            | Blow::NodeCutFrom(..)
            | Blow::NodeDrained(_)
            | Blow::DiskFull(_)
            | Blow::PortTaken(_)
            | Blow::ClockJumps(..) => true,
            Blow::NodeDead(_)
            | Blow::ContainersEnd(_)
            | Blow::ContainersRemoved(_)
            | Blow::EdgeLosesItsDisk
            | Blow::EdgeDies
            | Blow::FrontPortHeld(_) => false,
        }
    }

    /// Whether there is anything that it can strike now.
    fn can_strike(&self, world: &World) -> bool {
        match self {
            Blow::Crash(service)
            | Blow::CrashAtCall(service, ..)
            | Blow::Pause(service)
            | Blow::LaggingLeader(service)
            | Blow::SessionExpires(service)
            | Blow::StaleReads(service)
            | Blow::LostWatches(service) => world.life(*service).is_some(),
            Blow::Standby(service) => !world.lives().standbys.contains_key(service),
            Blow::ContainersEnd(node) | Blow::ContainersRemoved(node) => {
                !world.truth.nodes.containers(node).is_empty()
            }
            Blow::EdgeLosesItsDisk | Blow::FrontPortHeld(_) => world.truth.edge.table().is_some(),
            Blow::SecondLeader(_)
            | Blow::EdgeDies
            | Blow::CutPort(..)
            | Blow::BusAway
            | Blow::RecordsTwice
            | Blow::NodeDead(_)
            | Blow::NodePartitioned(_)
            | Blow::NodeHung(_)
            | Blow::NodeGray(_)
            | Blow::NodeCutFrom(..)
            | Blow::NodeDrained(_)
            | Blow::DiskFull(_)
            | Blow::PortTaken(_)
            | Blow::ClockJumps(..) => true,
        }
    }
}

/// A blow within a scope that can strike now.
pub(super) fn fit(world: &World, dice: &mut Dice, scope: Scope) -> Blow {
    let is_fit =
        |blow: &Blow| (scope == Scope::Everything || blow.spares_apps()) && blow.can_strike(world);
    loop {
        let blow = drawn(world, dice);
        if is_fit(&blow) {
            return blow;
        }
    }
}

/// How often each kind of blow is drawn.
fn drawn(world: &World, dice: &mut Dice) -> Blow {
    let service = *dice.one_of(&SERVICES);
    let index = usize::try_from(dice.below(world.truth.agents.len() as u64)).unwrap_or_default();
    let node = world.node(index).cloned().expect("there are nodes");
    let point = *dice.one_of(&[Point::Before, Point::After]);
    match dice.below(109) {
        0..10 => Blow::Crash(service),
        10..26 => Blow::CrashAtCall(service, point, dice.below(20)),
        26..31 => Blow::Pause(service),
        31..33 => Blow::SecondLeader(service),
        33..36 => Blow::LaggingLeader(service),
        36..40 => Blow::Standby(service),
        40..45 => {
            let port =
                *dice.one_of(&[Port::Store, Port::Bus, Port::Nodes, Port::Edge, Port::Routes]);
            Blow::CutPort(service, port)
        }
        45..49 => Blow::SessionExpires(service),
        49..54 => Blow::StaleReads(service),
        54..58 => Blow::LostWatches(service),
        58..62 => Blow::BusAway,
        62..65 => Blow::RecordsTwice,
        65..72 => Blow::NodeDead(node),
        72..76 => Blow::NodePartitioned(node),
        76..79 => Blow::NodeHung(node),
        79..83 => Blow::NodeGray(node),
        83..86 => Blow::NodeCutFrom(service, node),
        86..89 => Blow::DiskFull(node),
        89..91 => Blow::PortTaken(node),
        91..93 => Blow::ContainersEnd(node),
        93..95 => Blow::ContainersRemoved(node),
        95..97 => Blow::EdgeLosesItsDisk,
        97..99 => Blow::EdgeDies,
        99..102 => Blow::FrontPortHeld(*dice.one_of(&FRONT_PORTS)),
        102..106 => Blow::NodeDrained(node),
        _ => Blow::ClockJumps(service, *dice.one_of(&[-40, -3, 3, 45, 3600])),
    }
}
