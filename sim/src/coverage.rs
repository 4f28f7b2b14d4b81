//! What runs have visited: allowed changes of state, calls with the faults they met.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::call::{CallKind, Fault};
use crate::checker::table;
use crate::world::World;

/// What one run, or many, visited.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    edges: BTreeSet<(&'static str, String, String)>,
    met: BTreeMap<(CallKind, Fault), u64>,
    commands: u64,
    effective: u64,
    runs: u64,
}

impl Coverage {
    pub(crate) fn of(world: &World) -> Self {
        Coverage {
            edges: world.checker().edges.clone(),
            met: world.trace().met.clone(),
            ..Coverage::default()
        }
    }

    /// Takes in what another run visited.
    pub fn add(&mut self, other: &Coverage, commands: u64, effective: u64) {
        self.edges.extend(other.edges.iter().cloned());
        for (pair, count) in &other.met {
            *self.met.entry(*pair).or_default() += count;
        }
        self.commands += commands;
        self.effective += effective;
        self.runs += 1;
    }

    /// Takes in what other runs visited together.
    pub fn merge(&mut self, other: &Coverage) {
        self.add(other, other.commands, other.effective);
        self.runs += other.runs;
        self.runs -= 1;
    }

    /// Allowed changes of state that no run made.
    pub fn unvisited_edges(&self) -> Vec<String> {
        let unvisited = table().into_iter().filter(|edge| !self.edges.contains(edge));
        unvisited.map(|(kind, from, to)| format!("{kind} {from} -> {to}")).collect()
    }

    /// Calls and the faults that they never met, though they can.
    pub fn unmet_faults(&self) -> Vec<String> {
        let pairs = CallKind::ALL
            .into_iter()
            .flat_map(|kind| Fault::ALL.into_iter().map(move |fault| (kind, fault)));
        pairs
            .filter(|(kind, fault)| {
                fault.may_meet(*kind) && !self.met.contains_key(&(*kind, *fault))
            })
            .map(|(kind, fault)| format!("{kind} x {fault:?}"))
            .collect()
    }

    /// The share of commands that changed what is wanted, in percent.
    pub fn effective_percent(&self) -> u64 {
        (self.effective * 100).checked_div(self.commands).unwrap_or_default()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (edges, all) = (self.unvisited_edges(), table().len());
        writeln!(f, "allowed changes of state visited: {} of {all}", all - edges.len())?;
        for edge in edges {
            writeln!(f, "  never: {edge}")?;
        }
        let unmet = self.unmet_faults();
        writeln!(f, "calls x faults met: {}, never met: {}", self.met.len(), unmet.len())?;
        for pair in unmet {
            writeln!(f, "  never: {pair}")?;
        }
        write!(f, "commands with an effect: {} % of {}", self.effective_percent(), self.commands)
    }
}
