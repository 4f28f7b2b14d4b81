//! What the replicas of one app take, together.

use common::record::scale::{Decision, DecisionKind, Load as Percent, Scaling};

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
    count: u32,
}

impl Busiest {
    pub(super) fn of(loads: &[Load]) -> Option<Self> {
        let count = u32::try_from(loads.len()).ok().filter(|count| *count > 0)?;
        let top = |of: fn(&Load) -> f64| loads.iter().map(of).fold(0.0, f64::max);
        let sum = |of: fn(&Load) -> f64| loads.iter().map(of).sum();
        Some(Busiest {
            top: Load { cpu: top(|load| load.cpu), memory: top(|load| load.memory) },
            cpu_sum: sum(|load| load.cpu),
            memory_sum: sum(|load| load.memory),
            count,
        })
    }

    pub(super) fn overload(&self, scaling: &Scaling) -> Option<DecisionKind> {
        if self.top.cpu > f64::from(scaling.cpu_percent) {
            Some(DecisionKind::Processor)
        } else if self.top.memory > f64::from(scaling.memory_percent) {
            Some(DecisionKind::Memory)
        } else {
            None
        }
    }

    /// Whether the others could take over the work of one. Memory does not move with the work where it was never why
    /// a replica was added: then it only must not be short.
    pub(super) fn fits_one_fewer(&self, known: &Known) -> bool {
        let Scaling { cpu_percent, memory_percent, .. } = known.scaling;
        let others = f64::from(self.count.saturating_sub(1).max(1));
        let added = |decision: &&Decision| {
            matches!(decision.kind, DecisionKind::Processor | DecisionKind::Memory)
        };
        let by = known.decisions.iter().rev().find(added).map(|decision| decision.kind);
        let memory_fits = by != Some(DecisionKind::Memory)
            || self.memory_sum / others < f64::from(memory_percent) * IDLE_SHARE;
        memory_fits && self.cpu_sum / others < f64::from(cpu_percent) * IDLE_SHARE
    }

    /// What is recorded of it.
    pub(super) fn rounded(&self) -> Percent {
        Percent { cpu_percent: rounded(self.top.cpu), memory_percent: rounded(self.top.memory) }
    }

    /// Whether it is not lower than it was, but for noise.
    pub(super) fn is_about(&self, kind: DecisionKind, before: Percent) -> bool {
        let (now, before) = if kind == DecisionKind::Memory {
            (self.top.memory, before.memory_percent)
        } else {
            (self.top.cpu, before.cpu_percent)
        };
        now > f64::from(before) * FRUITLESS_SHARE
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a percentage that was measured, and floats saturate"
)]
fn rounded(percent: f64) -> u32 {
    percent.round() as u32
}
