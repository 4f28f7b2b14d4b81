//! I2, I4, I6, I8, I9, I10 at the edge: what its tables lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::name::LegacyName;
use common::port::container::Container;
use common::port::edge::{Table, TableRoute, Upstream};
use common::port::nodes::Agent;
use common::record::deployment::{Deployment, Goal, SlotState, State};
use common::record::path;

use super::{Change, Checker, Invariant, decoded};
use crate::life::Life;
use crate::world::{Truth, runs};

/// How long after something happened to a node its containers may not run, in microseconds.
pub(super) const AFTERMATH: u64 = 30_000_000;

/// What the nodes have.
pub(super) type Held<'a> = Vec<(&'a Agent, Vec<Container>)>;

pub(super) fn held(truth: &Truth) -> Held<'_> {
    truth.agents.iter().map(|agent| (agent, truth.nodes.containers(&agent.node))).collect()
}

impl Checker {
    /// The front ports that the edge had said another program has to who gave it the newest table, just before that.
    pub(crate) fn said_closed(&mut self, ports: BTreeSet<u16>) {
        self.said_closed = ports;
    }

    /// The edge took a table; `table` is what was sent.
    pub(crate) fn table_taken(&mut self, table: &Table, life: &Life) {
        let sent = (table.epoch, table.generation);
        if sent < self.highest {
            let (epoch, generation) = self.highest;
            let what = format!(
                "the edge took table {}.{} of {} after {epoch}.{generation}",
                table.epoch, table.generation, life.label
            );
            self.violate(Invariant::I9SingleWriter, what);
        }
        self.highest = self.highest.max(sent);
    }

    pub(super) fn check_table(&mut self, table: &Table, truth: &Truth, now: u64) {
        let mut ports = BTreeSet::new();
        let mut addresses: BTreeMap<SocketAddr, &LegacyName> = BTreeMap::new();
        for row in &table.routes {
            if !ports.insert(row.front_port) {
                let what = format!("front port {} has two instances", row.front_port);
                self.violate(Invariant::I3PortExclusive, what);
            }
            let slots: BTreeSet<_> = row.upstreams.iter().map(|upstream| upstream.slot).collect();
            if slots.len() != row.upstreams.len() {
                let what =
                    format!("two routable containers of {} have the same slot", row.instance);
                self.violate(Invariant::I2EffectOnce, what);
            }
            for upstream in &row.upstreams {
                self.served.insert((row.instance.clone(), upstream.address()));
                if let Some(other) = addresses.insert(upstream.address(), &row.instance) {
                    let what =
                        format!("{other} and {} both lead to {}", row.instance, upstream.address());
                    self.violate(Invariant::I4NoMisroute, what);
                }
            }
        }
        self.check_shares(table, truth);
        self.check_moving(table, truth);
        self.check_kept(table, truth);
        self.check_switched(table, truth, now);
    }

    /// Replicas that answer are not given up for ones that do not.
    fn check_switched(&mut self, table: &Table, truth: &Truth, now: u64) {
        let Some(before) = self.last.clone() else { return };
        let answers = |upstream: &Upstream| truth.listener(upstream.address()).is_some();
        for new in table.routes.iter().filter(|row| !row.upstreams.is_empty()) {
            let old = before.routes.iter().find(|row| row.instance == new.instance);
            let Some(old) = old.filter(|old| old.upstreams.iter().any(answers)) else { continue };
            let calm = |upstream: &Upstream| {
                let mut on = truth.agents.iter().filter(|agent| agent.address.ip() == upstream.ip);
                on.all(|agent| {
                    let struck = self.struck.get(&agent.node);
                    struck.is_none_or(|at| now - at > AFTERMATH)
                })
            };
            if !new.upstreams.iter().any(answers) && new.upstreams.iter().all(calm) {
                let gone = old.upstreams.len();
                let what =
                    format!("{} lost {gone} replicas for ones that do not run", new.instance);
                self.violate(Invariant::I6KeepServing, what);
            }
        }
    }

    /// Whoever's door another program holds is not served; everybody else is. It may be given back while a table without it
    /// is on its way.
    pub(super) fn held_ports(&self, truth: &Truth) -> BTreeSet<u16> {
        let mut held = self.said_closed.clone();
        held.extend(truth.edge.closed_ports());
        held
    }

    /// Who was served before and is to be served is served still.
    fn check_kept(&mut self, table: &Table, truth: &Truth) {
        let Some(before) = self.last.clone() else { return };
        if (before.epoch, before.generation) >= (table.epoch, table.generation) {
            let what = format!("table {}.{} came after a newer one", table.epoch, table.generation);
            self.violate(Invariant::I8Monotone, what);
        }
        let has = |row: &&TableRoute| !row.upstreams.is_empty();
        let held = self.held_ports(truth);
        let open = |row: &&TableRoute| !held.contains(&row.front_port);
        for old in before.routes.iter().filter(has).filter(open) {
            let mut kept = table.routes.iter().filter(has);
            if kept.any(|row| row.instance == old.instance) {
                continue;
            }
            let path = path::deployment(&old.instance);
            let value = truth.store.records(&path).into_iter().next().map(|(_, value)| value);
            let Some(deployment) = decoded::<Deployment>(value.as_ref()) else { continue };
            let Some(serving) = &deployment.serving else { continue };
            let stopped = self.stops.get(&old.instance).is_some_and(|at| *at > serving.generation);
            if deployment.goal == Goal::Running && !stopped {
                let what = format!("{} is not served any more", old.instance);
                self.violate(Invariant::I6KeepServing, what);
            }
        }
    }

    pub(super) fn note_running(&mut self, held: &Held<'_>) {
        for (agent, held) in held {
            let mut listening = BTreeSet::new();
            for container in held.iter().filter(|container| runs(container)) {
                if !listening.insert(container.host_port) {
                    let what = format!("two listen at {} of {}", container.host_port, agent.node);
                    self.violate(Invariant::I3PortExclusive, what);
                }
                self.ran.insert((container.instance.clone(), container.slot, container.generation));
            }
        }
    }

    /// No door leads to another instance's container.
    pub(super) fn check_doors(&mut self, held: &Held<'_>) {
        let Some(table) = self.last.take() else { return };
        let mut behind: BTreeMap<SocketAddr, &Container> = BTreeMap::new();
        for (agent, held) in held {
            let running = held.iter().filter(|container| runs(container));
            behind.extend(running.map(|container| {
                (SocketAddr::new(agent.address.ip(), container.host_port), container)
            }));
        }
        for row in &table.routes {
            for upstream in &row.upstreams {
                let Some(found) = behind.get(&upstream.address()) else { continue };
                if found.instance.as_str() != row.instance.as_str() {
                    let what = format!("the door of {} leads to {}", row.instance, found.name);
                    self.violate(Invariant::I4NoMisroute, what);
                }
            }
        }
        self.last = Some(table);
    }

    /// Running is said of what has run and was served.
    pub(super) fn check_running(&mut self, change: &Change<'_>, truth: &Truth) {
        let Change { before, after: Some(after), .. } = *change else { return };
        let said = after.state == State::Running
            && before.is_none_or(|before| before.state != State::Running);
        if !said {
            return;
        }
        self.note_running(&held(truth));
        let Ok(instance) = after.instance.as_str().parse() else { return };
        let mut count = 0;
        for slot in after.slots.iter().filter(|slot| slot.state == SlotState::Routed) {
            let Some(place) = &slot.place else { continue };
            let address = SocketAddr::new(place.ip, place.host_port);
            let replica = (Clone::clone(&instance), slot.number, slot.generation);
            let was_served = self.served.contains(&(after.instance.clone(), address));
            if self.ran.contains(&replica) && was_served {
                count += 1;
            } else {
                let what = format!(
                    "{} is said to run, and its replica {} does not",
                    after.instance, slot.number
                );
                self.violate(Invariant::I10HonestStatus, what);
            }
        }
        if count == 0 {
            let what = format!("{} is said to run without a replica", after.instance);
            self.violate(Invariant::I10HonestStatus, what);
        }
    }
}

#[cfg(test)]
mod tests;
