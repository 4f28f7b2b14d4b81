//! I6: a visitor asks at every front port, again and again; and no order of the platform takes away what
//! the edge serves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use common::name::{LegacyName, NodeName};
use common::port::edge::Upstream;
use common::record::deployment::{Goal, State};

use super::{Change, Checker, Invariant};
use crate::world::Truth;

/// What is demanded of the answers in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Demand {
    /// Containers and nodes come to harm: gaps are natural.
    #[default]
    Nothing,
    /// Only the platform comes to harm: whoever is asked answers, every time.
    Always,
    /// One node at a time comes to harm, and everybody has several replicas: of them one answers, but for
    /// gaps of this length.
    WithGaps(Duration),
}

/// What a visitor saw.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    pub(crate) demand: Demand,
    /// Whoever was said to run, and was not told to stop since.
    promised: BTreeSet<LegacyName>,
    /// Since when nobody answers for an instance.
    silent: BTreeMap<LegacyName, u64>,
    /// How many questions were asked.
    pub(crate) count: u64,
}

/// What the edge serves from one node.
#[derive(Debug)]
pub(crate) struct ServedFrom {
    node: NodeName,
    replicas: Vec<(LegacyName, SocketAddr)>,
    seen: u64,
}

impl ServedFrom {
    /// As it is now: rows of the edge's table behind which something runs.
    pub(crate) fn now(truth: &Truth, node: &NodeName, now: u64) -> Self {
        let ip = truth.agents.iter().find(|agent| agent.node == *node).map(|one| one.address.ip());
        let mut replicas = rows(truth);
        replicas.retain(|(_, address)| Some(address.ip()) == ip);
        replicas.retain(|(_, address)| truth.listener(*address).is_some());
        ServedFrom { node: node.clone(), replicas, seen: now }
    }
}

fn rows(truth: &Truth) -> Vec<(LegacyName, SocketAddr)> {
    let routes = truth.edge.table().map(|table| table.routes).unwrap_or_default();
    let addresses = routes.into_iter().flat_map(|row| {
        let name = row.instance;
        row.upstreams.into_iter().map(move |upstream| (name.clone(), upstream.address()))
    });
    addresses.collect()
}

impl Checker {
    /// An order was carried out: what it took away must not be served. `before` is how it was.
    pub(crate) fn check_taken_away(&mut self, truth: &Truth, before: &ServedFrom, order: &str) {
        let struck = self.struck.get(&before.node);
        // What happened to the node meanwhile was nobody's order.
        if struck.is_some_and(|at| *at >= before.seen) {
            return;
        }
        let still = rows(truth);
        for replica in &before.replicas {
            let (instance, address) = replica;
            if truth.listener(*address).is_none() && still.contains(replica) {
                let what = format!("{order} took {address} away, where {instance} is served");
                self.violate(Invariant::I6KeepServing, what);
            }
        }
    }

    /// Who is said to run is served from now on, until it is told to stop.
    pub(super) fn promise(&mut self, change: &Change<'_>) {
        match (change.before, change.after) {
            (Some(before), None) => {
                self.visits.promised.remove(&before.instance);
            }
            (_, Some(after)) if after.goal == Goal::Stopped => {
                self.visits.promised.remove(&after.instance);
            }
            (_, Some(after)) if after.state == State::Running => {
                self.visits.promised.insert(after.instance.clone());
            }
            (_, Some(_)) | (None, None) => {}
        }
    }

    /// A visitor asks at each front port.
    pub(crate) fn ask_doors(&mut self, truth: &Truth, now: u64) {
        let gap = match self.visits.demand {
            Demand::Nothing => return,
            Demand::Always => None,
            Demand::WithGaps(gap) => Some(gap),
        };
        let table = truth.edge.table().map(|table| table.routes).unwrap_or_default();
        let answers = |upstream: &Upstream| truth.listener(upstream.address()).is_some();
        let mut wrong = Vec::new();
        for instance in &self.visits.promised {
            self.visits.count += 1;
            let row = table.iter().find(|row| row.instance == *instance);
            let upstreams = row.map(|row| row.upstreams.as_slice()).unwrap_or_default();
            // The edge tries the next one where one does not listen.
            let answered = match gap {
                None => !upstreams.is_empty() && upstreams.iter().all(answers),
                Some(_) => upstreams.iter().any(answers),
            };
            if answered {
                self.visits.silent.remove(instance);
                continue;
            }
            let since = *self.visits.silent.entry(instance.clone()).or_insert(now);
            let lasts = Duration::from_micros(now - since);
            if gap.is_none_or(|gap| lasts > gap) {
                wrong.push(format!("a visitor of {instance} was not answered for {lasts:?}"));
            }
        }
        for what in wrong {
            self.violate(Invariant::I6KeepServing, what);
        }
    }
}
