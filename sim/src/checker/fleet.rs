//! What must hold of a fleet while things go wrong: P2, P3, P4, and what is remembered for what must hold in the end.

mod kept;

use std::collections::{BTreeMap, BTreeSet};

use common::id::RequestId;
use common::name::NodeName;
use common::record::platform::{PlatformGoal, PlatformRecord};
use common::service::ServiceName;
use serde_json::Value;
use testkit::store::Committed;

pub(crate) use self::kept::kept;
use super::{Checker, Invariant, decoded};
use crate::fleet::Spot;

/// Two orders to restart the same within this time, in microseconds, are one too many: back-offs are longer.
const TOGETHER: u64 = 5_000_000;
/// How long the same may count for a machine, which takes a while to come back.
const OF_A_MACHINE: u64 = 10_000_000;
/// What was restarted as somebody asked, and is as ill as before for so long, may be restarted as anything that is ill.
const ILL_AGAIN: u64 = 15_000_000;
/// A brake is written down a while after it began to hold, and after it did not any more.
const WRITTEN: u64 = 8_000_000;
/// Clocks that jumped say nothing of back-offs for a while.
const CONFUSED: u64 = 60_000_000;

/// What was seen of a fleet.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// When parts and machines were last restarted by an order.
    restarted: BTreeMap<(String, Path), u64>,
    /// Since when brakes hold, by their kind.
    holds: BTreeMap<String, u64>,
    /// What began while a brake held, unless that was written too late: the brake, when, and what.
    doubtful: Vec<(&'static str, u64, String)>,
    /// The restarts that are under way, by target.
    under_way: BTreeMap<String, UnderWay>,
    /// The requests of who said that everything is dead.
    lies: BTreeSet<String>,
    /// Requests on the bus: by whom they are to be answered, and as what.
    pub(super) sent: BTreeMap<RequestId, (ServiceName, &'static str)>,
    /// How many orders to restart something were carried out.
    restarts: u64,
    /// What the platform is to be in the end, by who asked last and waited for the answer.
    pub(super) wished: Option<PlatformGoal>,
}

/// Why something is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    /// The lifecycle manager has seen by itself that it should be.
    Own,
    /// Somebody asked for it.
    Request,
}

/// Whether a request has had something restarted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Again,
}

/// A restart that was asked for and has begun.
#[derive(Debug)]
struct UnderWay {
    since: u64,
    /// What was restarted for it already.
    done: BTreeSet<String>,
    /// Whether nobody asks for it who did not say that everything is dead.
    is_lie: bool,
}

impl Checker {
    /// A request is on the bus.
    pub(crate) fn asks(&mut self, id: RequestId, of: ServiceName, kind: &'static str) {
        self.keeping.sent.insert(id, (of, kind));
    }

    /// Somebody asked for this, and has the answer that it was done.
    pub(crate) fn has_wished(&mut self, goal: PlatformGoal) {
        self.keeping.wished = Some(goal);
    }

    /// The request is one of somebody who says that everything is dead.
    pub(crate) fn lies(&mut self, id: RequestId) {
        self.keeping.lies.insert(id.to_string());
    }

    /// How many orders to restart something were carried out.
    pub(crate) fn restarts(&self) -> u64 {
        self.keeping.restarts
    }

    /// P2: of what lives, nothing lives twice in the same place.
    pub(crate) fn check_twins(&mut self, spots: &[Spot]) {
        let mut seen = BTreeSet::new();
        for spot in spots {
            if !seen.insert(spot) {
                self.violate(Invariant::P2OncePerMachine, format!("{spot} lives twice"));
            }
        }
    }

    /// An agent has restarted a part that it was told to.
    pub(crate) fn part_restarted(&mut self, spot: &Spot, now: u64) {
        self.keeping.restarts += 1;
        let target = format!("services/{}", spot.part);
        let what = spot.to_string();
        let last = self.keeping.restarted.get(&(what.clone(), Path::Request));
        let is_ill_again = last.is_some_and(|last| now - last >= ILL_AGAIN);
        let path = match self.check_request(&target, &what) {
            None => Path::Own,
            Some(Turn::First) => Path::Request,
            Some(Turn::Again) if is_ill_again => Path::Own,
            Some(Turn::Again) => {
                let what = format!("{what} was restarted twice for one request");
                self.violate(Invariant::P3RestartOnce, what);
                Path::Request
            }
        };
        self.check_row(&what, path, TOGETHER, now);
        self.check_brake("services", &target, what, now);
    }

    /// A backend begins to restart a machine. One that does not come back is restarted again, in turns.
    pub(crate) fn machine_restarted(&mut self, node: &NodeName, now: u64) {
        self.keeping.restarts += 1;
        let (target, what) = (format!("nodes/{node}"), node.to_string());
        let path = match self.check_request(&target, &what) {
            None | Some(Turn::Again) => Path::Own,
            Some(Turn::First) => Path::Request,
        };
        self.check_row(&what, path, OF_A_MACHINE, now);
        self.check_brake("machines", &target, what, now);
    }

    /// P3: two orders of the same kind in a row are one too many.
    fn check_row(&mut self, what: &str, path: Path, within: u64, now: u64) {
        let last = self.keeping.restarted.insert((what.to_owned(), path), now);
        if !self.is_confused(now) && last.is_some_and(|last| now - last < within) {
            let what = format!("{what} was restarted twice in a row");
            self.violate(Invariant::P3RestartOnce, what);
        }
    }

    /// P4: nothing is restarted because all are said to be dead. Says whether it is the first time that this is
    /// restarted for a request; none where there is no request.
    fn check_request(&mut self, target: &str, what: &str) -> Option<Turn> {
        let under_way = self.keeping.under_way.get_mut(target)?;
        let turn = if under_way.done.insert(what.to_owned()) { Turn::First } else { Turn::Again };
        if under_way.is_lie {
            let what = format!("{what} was restarted as all were said to be dead");
            self.violate(Invariant::P4BrakeHolds, what);
        }
        Some(turn)
    }

    /// Another lifecycle manager leads: when its brake was put on or off the records do not tell.
    pub(super) fn forget_doubts(&mut self) {
        self.keeping.doubtful.clear();
    }

    fn is_confused(&self, now: u64) -> bool {
        self.jumped.is_some_and(|at| now - at < CONFUSED)
    }

    /// P4: what had not begun before does not begin under the brake.
    fn check_brake(&mut self, kind: &'static str, target: &str, what: String, now: u64) {
        self.settle_doubts(now);
        let Some(since) = self.keeping.holds.get(kind).copied() else { return };
        let had_begun =
            self.keeping.under_way.get(target).is_some_and(|one| one.since <= since + WRITTEN);
        if now - since > WRITTEN && !had_begun {
            self.keeping.doubtful.push((kind, now, what));
        }
    }

    /// What began under a brake that goes on to hold.
    fn settle_doubts(&mut self, now: u64) {
        let is_settled = |(_, at, _): &mut (&'static str, u64, String)| now - *at > WRITTEN;
        let settled: Vec<_> = self.keeping.doubtful.extract_if(.., is_settled).collect();
        for (kind, _, what) in settled {
            let what = format!("{what} was restarted while the brake of {kind} held");
            self.violate(Invariant::P4BrakeHolds, what);
        }
    }

    /// What the lifecycle manager writes of its restarts and brakes.
    pub(super) fn check_keeping(&mut self, committed: &Committed, now: u64) {
        let path = committed.path.as_str();
        let Some(record) = decoded::<Value>(committed.after.as_ref()) else { return };
        if let Some(target) = path.strip_prefix("/avishkar/restarts/") {
            let is_under_way =
                record.pointer("/stage/is").and_then(Value::as_str) == Some("underway");
            if !is_under_way {
                self.keeping.under_way.remove(target);
            } else if !self.keeping.under_way.contains_key(target) {
                self.effective += 1;
                let is_lie = self.is_lie(&record);
                let under_way = UnderWay { since: now, done: BTreeSet::new(), is_lie };
                self.keeping.under_way.insert(target.to_owned(), under_way);
            }
        }
        if let Some(kind) = path.strip_prefix("/avishkar/lifecycle/alarms/") {
            // What was asked for at once holds requests only: a machine that is seen to be dead is helped.
            let is_seen = record.get("is_seen").and_then(Value::as_bool) != Some(false);
            if is_seen && record.get("holds").and_then(Value::as_bool) == Some(true) {
                self.keeping.holds.entry(kind.to_owned()).or_insert(now);
            } else {
                self.settle_doubts(now);
                self.keeping.holds.remove(kind);
                self.keeping.doubtful.retain(|(of, ..)| *of != kind);
            }
        }
    }

    /// Whether all who wait for a restart say that everything is dead.
    fn is_lie(&self, record: &Value) -> bool {
        let waiting = record.get("waiting").and_then(Value::as_array).map(Vec::as_slice);
        let waiting = waiting.unwrap_or_default();
        let lies = |one: &Value| {
            let request = one.get("request").and_then(Value::as_str);
            request.is_some_and(|request| self.keeping.lies.contains(request))
        };
        !waiting.is_empty() && waiting.iter().all(lies)
    }

    /// I8 of the platform's own record.
    pub(super) fn check_platform(&mut self, committed: &Committed) {
        let before: Option<PlatformRecord> = decoded(committed.before.as_ref());
        let Some(after) = decoded::<PlatformRecord>(committed.after.as_ref()) else { return };
        let generation = before.map(|before| before.generation).unwrap_or_default();
        if after.generation < generation {
            let what = format!("the platform went from {generation} to {}", after.generation);
            self.violate(Invariant::I8Monotone, what);
        }
        self.effective += u64::from(after.generation > generation);
    }
}
