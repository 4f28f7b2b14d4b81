//! What is decided on one app, cycle by cycle.
//!
//! Everything that a decision depends on for longer than a window stands in the record, so that a successor goes on
//! where this one stopped.

use std::time::Duration;

use common::record::scale::{Decision, DecisionKind, IDLE_COOLDOWNS, Load as Percent, Scaling};
use jiff::Timestamp;

use super::Rules;
use super::busiest::Busiest;
use super::demand::Demand;
use super::known::{Known, Way};
use super::window::Load;
use super::words;

/// What is decided, before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) kind: DecisionKind,
    pub(crate) reason: String,
    pub(crate) load: Option<Percent>,
    pub(crate) fruitless: u32,
}

impl Draft {
    pub(crate) fn at(self, at: Timestamp) -> Decision {
        let Draft { from, to, kind, reason, load, fruitless } = self;
        Decision { at, from, to, kind, reason, load, fruitless }
    }
}

/// Why the number stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// What was decided before, or something else, is under way; or a replica is ill.
    UnderWay,
    /// A replica was not heard of, or not for long enough.
    Unmeasured,
    /// A decision, or a replica, is too young.
    Cooldown,
    /// There are none, and nobody waits for one.
    AtRest,
    /// There are as many as the bounds allow.
    AtMost,
    /// More did not help.
    Brake,
    /// One fewer would do, but not for long enough yet.
    Idle,
    /// It is as it should be.
    Content,
}

/// What one cycle knows of how much there is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured<'a> {
    /// Of the replicas that are served; none for one that nothing is known of.
    pub(crate) loads: &'a [Option<Load>],
    /// For an app that is balanced by what visitors ask; none where nothing is known of that.
    pub(crate) demand: Option<Demand>,
    /// Whether the route has replicas that are ill, left out or not.
    pub(crate) has_ill: bool,
}

/// What is found in one cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep(Hold),
    Decide(Draft),
}

impl Verdict {
    /// Whether replicas are taken away, or will be after a while, as the load needs fewer.
    fn takes_for_want_of_load(&self) -> bool {
        match self {
            Verdict::Keep(hold) => *hold == Hold::Idle,
            Verdict::Decide(draft) => {
                matches!(draft.kind, DecisionKind::Idle | DecisionKind::Unplaced)
            }
        }
    }
}

/// What is remembered of an app between two cycles.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    last: Option<Last>,
    /// When the last decision or the newest replica is no longer young.
    rests_until: Duration,
    /// Whether no replica was overloaded at some time since the last decision.
    eased: bool,
    idle_since: Option<Duration>,
    missing_since: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    kind: DecisionKind,
    load: Option<Percent>,
    fruitless: u32,
}

impl Course {
    /// Goes on from what the records say. The time of day is looked at here once, and never again: it may jump.
    pub(crate) fn of(known: &Known, wall: Timestamp, now: Duration) -> Self {
        let last = known.decisions.last();
        let cooldown = cooldown(&known.scaling);
        let rest = |since: Timestamp| cooldown.saturating_sub(age(since, wall));
        let began = last.map(|last| last.at).into_iter().chain(known.newest);
        let is_replaced = last.zip(known.oldest).is_some_and(|(last, oldest)| oldest > last.at);
        Course {
            last: last.map(|last| Last {
                kind: last.kind,
                load: last.load,
                fruitless: last.fruitless,
            }),
            rests_until: now + began.map(rest).max().unwrap_or_default(),
            eased: is_replaced,
            idle_since: None,
            missing_since: None,
        }
    }

    /// Goes on with what is known now.
    pub(crate) fn follow(&mut self, before: &Known, known: &Known, wall: Timestamp, now: Duration) {
        let is_same_decision = before.decisions.last() == known.decisions.last();
        let marks = |known: &Known| (known.newest, known.oldest, known.scaling);
        if is_same_decision && marks(before) == marks(known) {
            return;
        }
        let mut new = Course::of(known, wall, now);
        if is_same_decision {
            new.eased |= self.eased;
            new.idle_since = self.idle_since;
            new.missing_since = self.missing_since;
        }
        *self = new;
    }

    /// Whether something was decided, or a replica began to serve, a moment ago.
    pub(super) fn is_young(&self, now: Duration) -> bool {
        now < self.rests_until
    }

    pub(crate) fn next(
        &mut self,
        known: &Known,
        measured: Measured<'_>,
        rules: &Rules,
        now: Duration,
    ) -> Verdict {
        let Measured { loads, demand, has_ill } = measured;
        let bounds = Bounds::of(&known.scaling, rules.most);
        let missing = (known.way == Way::Missing).then_some(self.missing_since.unwrap_or(now));
        self.missing_since = missing;
        let demand = demand.filter(|_| known.scaling.is_by_traffic());
        let is_known = demand.is_some() || !known.scaling.is_by_traffic();
        let loads: Option<Vec<Load>> = loads.iter().copied().collect();
        let loads = loads.filter(|_| is_known);
        let verdict = if known.way == Way::Moving {
            Verdict::Keep(Hold::UnderWay)
        } else if let Some(restored) = bounds.restored(known) {
            restored
        } else if let Some(busiest) = loads.as_deref().and_then(|loads| Busiest::of(loads, demand))
        {
            self.weigh(&Moment { known, bounds, rules, busiest, now })
        } else {
            Verdict::Keep(Hold::Unmeasured)
        };
        // Who is ill has no load, which says nothing of how many would do.
        let verdict = match verdict {
            by_load if has_ill && by_load.takes_for_want_of_load() => Verdict::Keep(Hold::UnderWay),
            other => other,
        };
        if verdict != Verdict::Keep(Hold::Idle) {
            self.idle_since = None;
        }
        verdict
    }

    fn weigh(&mut self, moment: &Moment<'_>) -> Verdict {
        let overload = moment.busiest.overload(&moment.known.scaling);
        self.eased |= overload.is_none();
        match (self.missing_since, overload) {
            (Some(_), Some(_)) => Verdict::Keep(Hold::UnderWay),
            (Some(since), None) => unplaced(moment, since),
            (None, Some(kind)) => self.overloaded(moment, kind),
            (None, None) => self.content(moment),
        }
    }

    fn overloaded(&self, moment: &Moment<'_>, kind: DecisionKind) -> Verdict {
        let wanted = moment.known.wanted;
        let is_braked = self.last.is_some_and(|last| last.kind == DecisionKind::Brake);
        if wanted >= moment.bounds.max {
            return Verdict::Keep(Hold::AtMost);
        }
        if is_braked && !self.eased {
            return Verdict::Keep(Hold::Brake);
        }
        if moment.now < self.rests_until {
            return Verdict::Keep(Hold::Cooldown);
        }
        let fruitless = self.fruitless(kind, &moment.busiest);
        if fruitless >= moment.rules.brake_after {
            return moment.decide(wanted, DecisionKind::Brake, fruitless);
        }
        moment.decide(wanted + 1, kind, fruitless)
    }

    /// How many additions in a row, up to the last one, did not lower the load.
    fn fruitless(&self, kind: DecisionKind, busiest: &Busiest) -> u32 {
        let Some(last) = self.last.filter(|last| !self.eased && last.kind == kind) else {
            return 0;
        };
        let is_lower = last.load.is_some_and(|before| !busiest.is_about(kind, before));
        if is_lower { 0 } else { last.fruitless + 1 }
    }

    fn content(&mut self, moment: &Moment<'_>) -> Verdict {
        let Moment { known, bounds, busiest, now, .. } = moment;
        // The last one is not taken for want of load, but where nobody asks.
        if known.wanted <= bounds.min.max(1) || !busiest.fits_one_fewer(known) {
            return Verdict::Keep(Hold::Content);
        }
        let since = *self.idle_since.get_or_insert(*now);
        if now.saturating_sub(since) < idle_after(&known.scaling) || *now < self.rests_until {
            return Verdict::Keep(Hold::Idle);
        }
        moment.decide(known.wanted - 1, DecisionKind::Idle, 0)
    }
}

/// Replicas are wanted that no node takes, and that the load does not need: they are waited for only so long.
fn unplaced(moment: &Moment<'_>, since: Duration) -> Verdict {
    let Moment { known, bounds, rules, now, .. } = moment;
    let served = u32::try_from(known.replicas.len()).unwrap_or(u32::MAX).max(bounds.min).max(1);
    if now.saturating_sub(since) < rules.place_within || served >= known.wanted {
        return Verdict::Keep(Hold::UnderWay);
    }
    moment.decide(served, DecisionKind::Unplaced, 0)
}

/// All that one cycle knows of an app whose replicas are all measured.
struct Moment<'a> {
    known: &'a Known,
    bounds: Bounds,
    rules: &'a Rules,
    busiest: Busiest,
    now: Duration,
}

impl Moment<'_> {
    fn decide(&self, to: u32, kind: DecisionKind, fruitless: u32) -> Verdict {
        draft(self.known, to, kind, Some(self.busiest.rounded()), fruitless)
    }
}

/// How long one fewer must have done before one is taken away.
pub(crate) fn idle_after(scaling: &Scaling) -> Duration {
    cooldown(scaling) * IDLE_COOLDOWNS
}

fn cooldown(scaling: &Scaling) -> Duration {
    Duration::from_secs(scaling.cooldown_seconds.into())
}

/// How long something is past; what lies ahead by a clock that was set back is not past at all.
fn age(since: Timestamp, wall: Timestamp) -> Duration {
    wall.duration_since(since).try_into().unwrap_or_default()
}

/// The app's bounds, within the platform's.
struct Bounds {
    min: u32,
    max: u32,
}

impl Bounds {
    fn of(scaling: &Scaling, most: u32) -> Self {
        let max = scaling.max.min(most).max(1);
        Bounds { min: scaling.min.min(max), max }
    }

    /// A number outside of the bounds goes back to them, whatever the load.
    fn restored(&self, known: &Known) -> Option<Verdict> {
        let (to, kind) = if known.wanted < self.min {
            (self.min, DecisionKind::Minimum)
        } else if known.wanted > self.max {
            (self.max, DecisionKind::Maximum)
        } else {
            return None;
        };
        Some(draft(known, to, kind, None, 0))
    }
}

fn draft(
    known: &Known,
    to: u32,
    kind: DecisionKind,
    load: Option<Percent>,
    fruitless: u32,
) -> Verdict {
    let from = known.wanted;
    let own = || words::reason(kind, (from, to), load, &known.scaling);
    let reason = known.because.of(kind).unwrap_or_else(own);
    Verdict::Decide(Draft { from, to, kind, reason, load, fruitless })
}

#[cfg(test)]
mod tests;
