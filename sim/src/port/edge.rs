//! The edge.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use async_trait::async_trait;
use common::port::Edge;
use common::port::edge::{Error, Status, Table, Traffic};
use testkit::MemoryEdge;

use super::mischief;
use crate::call::CallKind;
use crate::gate::{Call, Gate, Lost};
use crate::step::Step;

#[derive(Debug)]
pub(crate) struct SimEdge {
    gate: Gate,
}

impl SimEdge {
    pub(crate) fn new(gate: Gate) -> Self {
        SimEdge { gate }
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
        let body = move |_| async move {
            let world = &gate.world;
            let loaded = match world.plant {
                None => world.truth.edge.load(&table).await,
                Some(_) => mischief::load(&gate, &table).await,
            };
            if loaded.is_ok() {
                world.checker().table_taken(&table, &gate.life);
            }
            loaded
        };
        self.gate.order(call, lost, body).await
    }

    async fn status(&self) -> Result<Status, Error> {
        let what = self.gate.world.essence(format_args!("status of the edge"));
        let status = self.gate.ask(CallKind::EdgeStatus, what, lost, self.inner().status()).await?;
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
