//! What may go wrong at the moment: rates for every call, switches for whole ports and nodes, traps for
//! single calls.

use std::collections::BTreeSet;
use std::time::Duration;

use common::name::NodeName;
use common::service::ServiceName;

use crate::call::{CallKind, Fault};
use crate::dice::Dice;
use crate::stage::Owner;
use crate::step::Step;

/// The port a call belongs to, as far as it can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Store,
    Bus,
    Nodes,
    Edge,
    Routes,
    Blobs,
    Parts,
    /// Machines, and signing in to them.
    Machines,
    Probes,
    Webhooks,
}

impl Port {
    pub fn of(kind: CallKind) -> Self {
        use CallKind as C;
        match kind {
            C::StoreGet | C::StoreChildren | C::StoreCommit | C::StoreSync | C::StoreWatch => {
                Port::Store
            }
            C::BusTopics | C::BusPublish | C::BusConsume | C::BusNext | C::BusCommit => Port::Bus,
            C::NodesEnsure
            | C::NodesRemove
            | C::NodesList
            | C::NodesBuild
            | C::NodesProbe
            | C::NodesSamples
            | C::NodesAnnounce => Port::Nodes,
            C::EdgeLoad | C::EdgeStatus | C::EdgeInFlight | C::EdgeProbe => Port::Edge,
            C::RoutesSet | C::RoutesRemove | C::RoutesProbe => Port::Routes,
            C::BlobsGet | C::BlobsPut => Port::Blobs,
            C::PartsEnsure
            | C::PartsRemove
            | C::PartsRestart
            | C::PartsList
            | C::PartsImages
            | C::PartsPush
            | C::PartsRegistry => Port::Parts,
            C::MachinesLook | C::MachinesRestart | C::Enrol => Port::Machines,
            C::ProbesLook => Port::Probes,
            C::WebhooksTell => Port::Webhooks,
        }
    }
}

/// When a trap springs: around the effect of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    Before,
    After,
}

/// Who ends when a trap springs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// Whose call it is.
    Caller,
    Service(ServiceName),
    /// Every node loses its power, and its agent with it.
    Nodes,
    /// Every agent ends; what runs on its node goes on.
    Agents,
}

/// Which call springs a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bait {
    /// Any call with an effect.
    Effect,
    Step(Step),
    Call(CallKind),
}

/// Ends somebody at a single call.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    /// Whose call; none: anybody's.
    pub caller: Option<ServiceName>,
    pub bait: Bait,
    /// How many such calls pass before.
    pub left: u64,
    pub point: Point,
    pub victim: Victim,
}

/// How often calls go wrong, in ten thousand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    pub refused: u64,
    pub request_lost: u64,
    pub answer_lost: u64,
    pub late: u64,
    pub twice: u64,
    pub slow: u64,
    /// How often a call takes no time at all.
    pub instant: u64,
}

impl Rates {
    /// Delays only.
    pub fn calm(dice: &mut Dice) -> Self {
        Rates { instant: dice.between(3000, 8000), ..Rates::default() }
    }

    pub fn drawn(dice: &mut Dice) -> Self {
        let mut rate = |most: u64| *dice.one_of(&[0, most / 8, most / 2, most]);
        Rates {
            refused: rate(120),
            request_lost: rate(120),
            answer_lost: rate(160),
            late: rate(2000),
            twice: rate(1500),
            slow: rate(80),
            instant: dice.between(3000, 8000),
        }
    }
}

/// What is drawn for one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    pub(crate) fault: Fault,
    pub(crate) there: Duration,
    pub(crate) back: Duration,
    /// Whether it arrives even if nobody waits for it any more.
    pub(crate) late: bool,
}

/// Everything that may go wrong now.
#[derive(Debug, Default)]
pub struct Faults {
    pub rates: Rates,
    /// Who reaches nothing of a port.
    pub cut: BTreeSet<(ServiceName, Port)>,
    pub cut_nodes: BTreeSet<(ServiceName, NodeName)>,
    /// Machines whose processes reach nothing.
    pub cut_off: BTreeSet<NodeName>,
    /// Lives whose orders take seconds, and arrive whatever became of who gave them.
    pub lagging: BTreeSet<Owner>,
    /// Gray nodes: they answer late, or not.
    pub slow_nodes: BTreeSet<NodeName>,
    /// Nodes that somebody wants to be drained for a while.
    pub drained: BTreeSet<NodeName>,
    pub traps: Vec<Trap>,
    /// The next call of this kind is on its way for long, and arrives whatever became of who made it.
    pub stray: Option<CallKind>,
    /// One fault for one call with an effect, after so many others.
    pub forced: Option<(u64, Fault)>,
}

impl Faults {
    pub(crate) fn draw(&mut self, dice: &mut Dice, kind: CallKind, by: Owner) -> Draw {
        if self.stray.take_if(|stray| *stray == kind).is_some() {
            let there = dice.millis(1500, 2500);
            return Draw { fault: Fault::Slow, there, back: Duration::ZERO, late: true };
        }
        if kind.has_effect() && self.lagging.contains(&by) {
            let (there, back) = (dice.millis(300, 2500), Duration::ZERO);
            return Draw { fault: Fault::Slow, there, back, late: true };
        }
        let (there, slow) = self.delay(dice, kind);
        // What is read is read: only answers about effects are on their way for long.
        let back = if kind.has_effect() { self.delay(dice, kind).0 } else { Duration::ZERO };
        let fault = self.fault(dice, kind, slow);
        let late = kind.has_effect() && dice.happens(self.rates.late);
        Draw { fault, there, back, late }
    }

    fn delay(&self, dice: &mut Dice, kind: CallKind) -> (Duration, bool) {
        if dice.happens(self.rates.slow) {
            return (dice.millis(30, 1500), true);
        }
        let instant =
            if kind.has_effect() { self.rates.instant } else { 9000 + self.rates.instant / 10 };
        if dice.happens(instant) {
            return (Duration::ZERO, false);
        }
        (Duration::from_micros(dice.between(100, 4000)), false)
    }

    fn fault(&mut self, dice: &mut Dice, kind: CallKind, slow: bool) -> Fault {
        if let Some((left, fault)) = &mut self.forced
            && kind.has_effect()
        {
            let fault = *fault;
            if *left == 0 {
                self.forced = None;
                return fault;
            }
            *left -= 1;
        }
        if Fault::Refused.may_meet(kind) && dice.happens(self.rates.refused) {
            return Fault::Refused;
        }
        if kind.has_effect() {
            if dice.happens(self.rates.request_lost) {
                return Fault::RequestLost;
            }
            if dice.happens(self.rates.answer_lost) {
                return Fault::AnswerLost;
            }
        }
        if Fault::Twice.may_meet(kind) && dice.happens(self.rates.twice) {
            return Fault::Twice;
        }
        if slow { Fault::Slow } else { Fault::None }
    }
}
