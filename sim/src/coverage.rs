//! What runs have visited: allowed changes of state, calls with the faults they met, kinds of larger faults that struck.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::call::{CallKind, Fault};
use crate::checker::{rare, table};
use crate::world::World;
use crate::{chaos, fleet};

/// What one run, or many, visited.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    edges: BTreeSet<(&'static str, String, String)>,
    met: BTreeMap<(CallKind, Fault), u64>,
    blows: BTreeMap<&'static str, u64>,
    commands: u64,
    effective: u64,
    runs: u64,
}

impl Coverage {
    pub(crate) fn of(world: &World) -> Self {
        let trace = world.trace();
        Coverage {
            edges: world.checker().edges.clone(),
            met: trace.met.clone(),
            blows: trace.blows.clone(),
            ..Coverage::default()
        }
    }

    /// Takes in what another run visited.
    pub fn add(&mut self, other: &Coverage, commands: u64, effective: u64) {
        self.edges.extend(other.edges.iter().cloned());
        for (pair, count) in &other.met {
            *self.met.entry(*pair).or_default() += count;
        }
        for (kind, count) in &other.blows {
            *self.blows.entry(kind).or_default() += count;
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
        let unmet = pairs().filter(|pair| !self.met.contains_key(pair));
        unmet.map(named).collect()
    }

    /// All calls with the faults that they can meet, as [`Coverage::unmet_faults`] names them.
    pub fn all_faults() -> BTreeSet<String> {
        pairs().map(named).collect()
    }

    /// Kinds of larger faults that never struck.
    pub fn idle_blows(&self) -> Vec<&'static str> {
        let kinds = chaos::KINDS.iter().chain(fleet::KINDS).copied();
        kinds.filter(|kind| !self.blows.contains_key(kind)).collect()
    }

    /// The share of commands that changed what is wanted, in percent.
    pub fn effective_percent(&self) -> u64 {
        (self.effective * 100).checked_div(self.commands).unwrap_or_default()
    }
}

/// Each call with each fault that it can meet.
fn pairs() -> impl Iterator<Item = (CallKind, Fault)> {
    let all = CallKind::ALL
        .into_iter()
        .flat_map(|kind| Fault::ALL.into_iter().map(move |fault| (kind, fault)));
    all.filter(|(kind, fault)| fault.may_meet(*kind))
}

fn named((kind, fault): (CallKind, Fault)) -> String {
    format!("{kind} x {fault:?}")
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (edges, all) = (self.unvisited_edges(), table().len());
        writeln!(f, "allowed changes of state visited: {} of {all}", all - edges.len())?;
        for edge in edges {
            writeln!(f, "  never: {edge}")?;
        }
        for edge in rare() {
            let seen = if self.edges.contains(&edge) { "seen" } else { "not seen" };
            let (kind, from, to) = edge;
            writeln!(f, "  may: {kind} {from} -> {to}: {seen}")?;
        }
        let unmet = self.unmet_faults();
        writeln!(f, "calls x faults met: {}, never met: {}", self.met.len(), unmet.len())?;
        for pair in unmet {
            writeln!(f, "  never: {pair}")?;
        }
        let idle = self.idle_blows();
        writeln!(f, "kinds of blows that struck: {}, never: {}", self.blows.len(), idle.len())?;
        for (kind, count) in &self.blows {
            writeln!(f, "  {kind}: {count}")?;
        }
        for kind in idle {
            writeln!(f, "  never: {kind}")?;
        }
        write!(f, "commands with an effect: {} % of {}", self.effective_percent(), self.commands)
    }
}
