//! The edge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::port::Edge;
use common::port::edge::{Error, Status, Table, Traffic};
use testkit::MemoryEdge;

use super::mischief;
use crate::call::CallKind;
use crate::gate::{Call, Gate, Lost};
use crate::step::Step;

/// How long what the edge said of its ports holds for who gives it a table, in microseconds: nothing else is to be asked
/// in between.
const HOLDS: u64 = 20_000;

#[derive(Debug)]
pub(crate) struct SimEdge {
    gate: Gate,
    told: Mutex<Told>,
}

/// Which front ports another program had when the edge was asked last.
#[derive(Debug, Default)]
struct Told {
    at: u64,
    closed: BTreeSet<u16>,
}

impl Told {
    /// Those that whoever gives the edge a table now may take for closed.
    fn closed(&self, now: u64) -> BTreeSet<u16> {
        if now - self.at <= HOLDS { self.closed.clone() } else { BTreeSet::new() }
    }
}

impl SimEdge {
    pub(crate) fn new(gate: Gate) -> Self {
        SimEdge { gate, told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> &MemoryEdge {
        &self.gate.world.truth.edge
    }
}

fn lost(_: Lost) -> Error {
    Error::Unavailable("simulated".into())
}

#[async_trait]
impl Edge for SimEdge {
    async fn load(&self, table: &Table) -> Result<(), Error> {
        let what = self.gate.world.essence(format_args!("load {}", Rows(table)));
        let call = Call { kind: CallKind::EdgeLoad, what, step: &|| Some(Step::LoadTable) };
        let (gate, table) = (self.gate.clone(), table.clone());
        let closed = self.told().closed(gate.world.stage.now());
        let body = move |_| async move {
            let world = &gate.world;
            let loaded = match world.plant {
                None => world.truth.edge.load(&table).await,
                Some(_) => mischief::load(&gate, &table).await,
            };
            if loaded.is_ok() {
                let mut checker = world.checker();
                checker.said_closed(closed);
                checker.table_taken(&table, &gate.life);
            }
            loaded
        };
        self.gate.order(call, lost, body).await
    }

    async fn status(&self) -> Result<Status, Error> {
        let what = self.gate.world.essence(format_args!("status of the edge"));
        let status = self.gate.ask(CallKind::EdgeStatus, what, lost, self.inner().status()).await?;
        let closed = status.ports.closed.iter().copied().collect();
        *self.told() = Told { at: self.gate.world.stage.now(), closed };
        Ok(mischief::status(&self.gate, status))
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        let what = self.gate.world.essence(format_args!("requests under way"));
        self.gate.ask(CallKind::EdgeInFlight, what, lost, self.inner().in_flight()).await
    }

    /// Asked twice a second and answered from memory: as a step of the story it would be most of it.
    async fn traffic(&self) -> Result<Traffic, Error> {
        self.inner().traffic().await
    }

    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error> {
        let world = &self.gate.world;
        let what = world.essence(format_args!("probe through front port {front_port}"));
        let answered = async {
            let status = self.inner().probe(front_port, path).await?;
            // The fake knows addresses only: what really listens there decides.
            Ok(if status == Some(200) { world.answer_at(front_port) } else { status })
        };
        self.gate.ask(CallKind::EdgeProbe, what, lost, answered).await
    }
}

/// A table in a few words.
struct Rows<'a>(&'a Table);

impl std::fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table {}.{}:", self.0.epoch, self.0.generation)?;
        for row in &self.0.routes {
            write!(f, " {} {}", row.instance, row.front_port)?;
            for upstream in &row.upstreams {
                write!(f, " {}", upstream.address())?;
            }
            f.write_str(";")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_edge_said_of_its_ports_holds_only_for_a_table_that_it_is_given_at_once() {
        let told = Told { at: 1_000_000, closed: BTreeSet::from([2000]) };
        assert_eq!(told.closed(1_000_000 + HOLDS), BTreeSet::from([2000]));
        assert_eq!(told.closed(1_000_001 + HOLDS), BTreeSet::new());
    }
}
