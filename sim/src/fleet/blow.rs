//! The kinds of larger faults of a fleet, and how one is drawn.

use common::name::NodeName;
use common::service::ServiceName;

use super::Spot;
use crate::call::CallKind;
use crate::chaos::kinds;
use crate::dice::Dice;
use crate::fault::{Bait, Point, Port};
use crate::world::World;

/// The services that may be struck as such.
pub(super) const SERVICES: [ServiceName; 4] = [
    ServiceName::LifecycleManager,
    ServiceName::PlatformInitializer,
    ServiceName::Monitoring,
    ServiceName::NodeManager,
];

/// A large fault.
#[derive(Debug, Clone)]
pub(super) enum Blow {
    Process(Spot, OfProcess),
    Service(ServiceName, OfService),
    Machine(NodeName, OfMachine),
    /// Two at once, or one.
    MachinesOff(NodeName, NodeName),
    BusAway,
    RecordsTwice,
    AllSaidDead,
    MonitoringBlind,
}

#[derive(Debug, Clone)]
pub(super) enum OfProcess {
    Crash,
    Hang,
    SessionExpires,
    StaleReads,
    LostWatches,
}

#[derive(Debug, Clone)]
pub(super) enum OfService {
    CrashAtCall(Bait, Point, u64),
    /// It ends while such an order of it is on its way, which arrives much later.
    StrayOrder(CallKind),
    /// Not scheduled until long after its successor leads.
    PausedLeader,
    /// Its orders are on their way for long, and it ends meanwhile.
    LaggingLeader,
    CutPort(Port),
    ClockJumps(i64),
}

#[derive(Debug, Clone)]
pub(super) enum OfMachine {
    Off,
    /// Nobody can switch it on for a while.
    Unpowered,
    Partitioned,
    AgentHangs,
    Gray,
}

/// These strike once they find somebody, or a call that is theirs.
pub(crate) const CRASH_AT_CALL: &str = "fleet: CrashAtCall";
pub(super) const STRAY_ORDER: &str = "fleet: StrayOrder";
pub(super) const PAUSED_LEADER: &str = "fleet: PausedLeader";
pub(super) const LAGGING_LEADER: &str = "fleet: LaggingLeader";
pub(super) const PARTITIONED: &str = "fleet: Partitioned";
pub(super) const AGENT_HANGS: &str = "fleet: AgentHangs";

kinds! { Blow:
    Blow::Process(_, OfProcess::Crash) => "fleet: Crash",
    Blow::Process(_, OfProcess::Hang) => "fleet: Hang",
    Blow::Process(_, OfProcess::SessionExpires) => "fleet: SessionExpires",
    Blow::Process(_, OfProcess::StaleReads) => "fleet: StaleReads",
    Blow::Process(_, OfProcess::LostWatches) => "fleet: LostWatches",
    Blow::Service(_, OfService::CrashAtCall(..)) => CRASH_AT_CALL,
    Blow::Service(_, OfService::StrayOrder(_)) => STRAY_ORDER,
    Blow::Service(_, OfService::PausedLeader) => PAUSED_LEADER,
    Blow::Service(_, OfService::LaggingLeader) => LAGGING_LEADER,
    Blow::Service(_, OfService::CutPort(_)) => "fleet: CutPort",
    Blow::Service(_, OfService::ClockJumps(_)) => "fleet: ClockJumps",
    Blow::Machine(_, OfMachine::Off) => "fleet: Off",
    Blow::Machine(_, OfMachine::Unpowered) => "fleet: Unpowered",
    Blow::Machine(_, OfMachine::Partitioned) => PARTITIONED,
    Blow::Machine(_, OfMachine::AgentHangs) => AGENT_HANGS,
    Blow::Machine(_, OfMachine::Gray) => "fleet: Gray",
    Blow::MachinesOff(..) => "fleet: MachinesOff",
    Blow::BusAway => "fleet: BusAway",
    Blow::RecordsTwice => "fleet: RecordsTwice",
    Blow::AllSaidDead => "fleet: AllSaidDead",
    Blow::MonitoringBlind => "fleet: MonitoringBlind",
}

impl Blow {
    /// Whether it strikes as soon as it falls.
    pub(super) fn strikes_at_once(&self) -> bool {
        let later =
            [CRASH_AT_CALL, STRAY_ORDER, PAUSED_LEADER, LAGGING_LEADER, PARTITIONED, AGENT_HANGS];
        !later.contains(&self.kind())
    }
}

/// How often each kind of blow is drawn.
pub(super) fn drawn(world: &World, dice: &mut Dice) -> Option<Blow> {
    let service = *dice.one_of(&SERVICES);
    let lives = world.truth.fleet.lives();
    if lives.is_empty() {
        return None;
    }
    let spot = dice.one_of(&lives).spot.clone()?;
    let nodes: Vec<NodeName> = world.truth.agents.iter().map(|agent| agent.node.clone()).collect();
    let (node, other) = (dice.one_of(&nodes).clone(), dice.one_of(&nodes).clone());
    let point = *dice.one_of(&[Point::Before, Point::After]);
    let jump = *dice.one_of(&[-40, -3, 3, 45, 3600]);
    let port = *dice.one_of(&[Port::Store, Port::Bus, Port::Parts, Port::Machines, Port::Probes]);
    Some(match dice.below(100) {
        0..8 => Blow::Process(any_spot(world, dice).unwrap_or(spot), OfProcess::Crash),
        8..13 => {
            Blow::Service(service, OfService::CrashAtCall(Bait::Effect, point, dice.below(20)))
        }
        13..20 => {
            let (of, kind) = rare_call(dice);
            Blow::Service(of, OfService::CrashAtCall(Bait::Call(kind), point, dice.below(2)))
        }
        20..25 => {
            let (of, kind) = rare_call(dice);
            Blow::Service(of, OfService::StrayOrder(kind))
        }
        25..30 => Blow::Process(spot, OfProcess::Hang),
        30..34 => Blow::Service(service, OfService::PausedLeader),
        34..36 => Blow::Service(service, OfService::LaggingLeader),
        36..39 => Blow::Service(ServiceName::LifecycleManager, OfService::LaggingLeader),
        39..41 => Blow::Process(spot, OfProcess::SessionExpires),
        41..44 => Blow::Process(spot, OfProcess::StaleReads),
        44..46 => Blow::Process(spot, OfProcess::LostWatches),
        46..49 => Blow::Service(service, OfService::CutPort(port)),
        49..50 => Blow::BusAway,
        50..52 => Blow::RecordsTwice,
        52..54 => Blow::Service(service, OfService::ClockJumps(jump)),
        54..65 => Blow::Machine(node, OfMachine::Off),
        65..77 => Blow::Machine(node, OfMachine::Unpowered),
        77..82 => Blow::Machine(node, OfMachine::Partitioned),
        82..85 => Blow::Machine(node, OfMachine::AgentHangs),
        85..88 => Blow::Machine(node, OfMachine::Gray),
        88..90 => Blow::MachinesOff(node, other),
        90..95 => Blow::AllSaidDead,
        _ => Blow::MonitoringBlind,
    })
}

/// A call with an effect that is made now and then only, and who makes it.
fn rare_call(dice: &mut Dice) -> (ServiceName, CallKind) {
    let orders = [
        CallKind::PartsEnsure,
        CallKind::PartsRemove,
        CallKind::PartsRestart,
        CallKind::PartsPush,
        CallKind::PartsRegistry,
        CallKind::MachinesRestart,
        CallKind::Enrol,
        CallKind::NodesAnnounce,
    ];
    if dice.happens(1500) {
        (ServiceName::Monitoring, CallKind::WebhooksTell)
    } else {
        (ServiceName::LifecycleManager, *dice.one_of(&orders))
    }
}

/// Any process, also one in which nothing lives.
fn any_spot(world: &World, dice: &mut Dice) -> Option<Spot> {
    let spots: Vec<Spot> = world.truth.fleet.state().processes.keys().cloned().collect();
    (!spots.is_empty()).then(|| dice.one_of(&spots).clone())
}
