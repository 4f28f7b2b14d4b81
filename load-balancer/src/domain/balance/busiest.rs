//! What the replicas of one app take, and are asked, together.

use common::record::scale::{Decision, DecisionKind, Load as Percent, Scaling};

use super::demand::Demand;
use super::known::Known;
use super::window::Load;

/// One replica fewer must leave each of the others below this share of what overloads it.
const IDLE_SHARE: f64 = 0.75;
/// An addition that leaves more than this share of the load did not lower it.
const FRUITLESS_SHARE: f64 = 0.95;

/// The replicas' loads together.
#[derive(Debug)]
pub(super) struct Busiest {
    top: Load,
    cpu_sum: f64,
    memory_sum: f64,
    /// None where the app is not balanced by it.
    demand: Option<Demand>,
    count: u32,
}

impl Busiest {
    pub(super) fn of(loads: &[Load], demand: Option<Demand>) -> Option<Self> {
        let count = u32::try_from(loads.len()).ok().filter(|count| *count > 0)?;
        let top = |of: fn(&Load) -> f64| loads.iter().map(of).fold(0.0, f64::max);
        let sum = |of: fn(&Load) -> f64| loads.iter().map(of).sum();
        Some(Busiest {
            top: Load { cpu: top(|load| load.cpu), memory: top(|load| load.memory) },
            cpu_sum: sum(|load| load.cpu),
            memory_sum: sum(|load| load.memory),
            demand,
            count,
        })
    }

    pub(super) fn overload(&self, scaling: &Scaling) -> Option<DecisionKind> {
        if self.top.cpu > f64::from(scaling.cpu_percent) {
            Some(DecisionKind::Processor)
        } else if self.top.memory > f64::from(scaling.memory_percent) {
            Some(DecisionKind::Memory)
        } else if is_above(self.requests_of_each(self.count), scaling.requests_per_second) {
            Some(DecisionKind::Requests)
        } else if is_above(self.latency_ms(), scaling.latency_ms) {
            Some(DecisionKind::Latency)
        } else {
            None
        }
    }

    /// If there were so many replicas.
    fn requests_of_each(&self, replicas: u32) -> Option<f64> {
        self.demand.map(|demand| demand.requests_per_second / f64::from(replicas.max(1)))
    }

    fn latency_ms(&self) -> Option<f64> {
        self.demand.and_then(|demand| demand.latency_ms)
    }

    /// Whether the others could take over the work of one. Memory does not move with the work where it was never why
    /// a replica was added: then it only must not be short.
    pub(super) fn fits_one_fewer(&self, known: &Known) -> bool {
        let Scaling { cpu_percent, memory_percent, requests_per_second, latency_ms, .. } =
            known.scaling;
        let fewer = self.count.saturating_sub(1).max(1);
        let others = f64::from(fewer);
        let added = |decision: &&Decision| {
            use DecisionKind::{Latency, Memory, Processor, Requests};
            matches!(decision.kind, Processor | Memory | Requests | Latency)
        };
        let by = known.decisions.iter().rev().find(added).map(|decision| decision.kind);
        let memory_fits = by != Some(DecisionKind::Memory)
            || self.memory_sum / others < f64::from(memory_percent) * IDLE_SHARE;
        // Requests are taken to be slower by as much as there are more of them for each.
        let slower = self.latency_ms().map(|time| time * f64::from(self.count) / others);
        memory_fits
            && self.cpu_sum / others < f64::from(cpu_percent) * IDLE_SHARE
            && leaves_room(self.requests_of_each(fewer), requests_per_second)
            && leaves_room(slower, latency_ms)
    }

    /// What is recorded of it.
    pub(super) fn rounded(&self) -> Percent {
        Percent {
            cpu_percent: rounded(self.top.cpu),
            memory_percent: rounded(self.top.memory),
            requests_per_second: self.requests_of_each(self.count).map(rounded),
            latency_ms: self.latency_ms().map(rounded),
        }
    }

    /// Whether it is not lower than it was, but for noise.
    pub(super) fn is_about(&self, kind: DecisionKind, before: Percent) -> bool {
        let (now, before) = match kind {
            DecisionKind::Memory => (Some(self.top.memory), Some(before.memory_percent)),
            DecisionKind::Requests => {
                (self.requests_of_each(self.count), before.requests_per_second)
            }
            DecisionKind::Latency => (self.latency_ms(), before.latency_ms),
            DecisionKind::Asked
            | DecisionKind::Minimum
            | DecisionKind::Maximum
            | DecisionKind::Processor
            | DecisionKind::Idle
            | DecisionKind::Rested
            | DecisionKind::Woken
            | DecisionKind::Unplaced
            | DecisionKind::Brake => (Some(self.top.cpu), Some(before.cpu_percent)),
        };
        now.zip(before).is_some_and(|(now, before)| now > f64::from(before) * FRUITLESS_SHARE)
    }
}

/// Whether there is a bound, and it is passed.
fn is_above(measured: Option<f64>, bound: Option<u32>) -> bool {
    measured.zip(bound).is_some_and(|(measured, bound)| measured > f64::from(bound))
}

/// Whether one replica fewer would not come near a bound. What was not measured of too few requests does not.
fn leaves_room(measured: Option<f64>, bound: Option<u32>) -> bool {
    let pair = measured.zip(bound);
    pair.is_none_or(|(measured, bound)| measured < f64::from(bound) * IDLE_SHARE)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was measured and is not negative, and floats saturate"
)]
fn rounded(measured: f64) -> u32 {
    measured.round() as u32
}
