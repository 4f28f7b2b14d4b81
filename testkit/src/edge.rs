//! A simulated edge: [`MemoryEdge`].
//!
//! It keeps the port's contract: whole tables, never an older one, never other content under the
//! same (epoch, generation), never one that names a front port or host twice. A test sends requests
//! through its front ports and says when they end, cuts it off, takes its disk away.

mod certificates;
mod unfit;
mod visits;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::id::{Epoch, Generation};
use common::name::LegacyName;
use common::port::Edge;
use common::port::edge::{
    Answer, CertificateSet, Error, FrontPorts, Status, Table, TableRoute, Traffic, Visits,
};
use tokio::time::Instant;

use unfit::told;

/// An edge in memory. Clones are the same edge.
#[derive(Debug, Clone)]
pub struct MemoryEdge {
    state: Arc<Mutex<State>>,
}

/// Whether calls to the edge work. Its front ports serve in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    /// Calls fail without effect.
    Down,
    /// Nobody listens; it reads a table that it is given when it starts.
    Ended,
    /// Calls have their effect, and their answer is lost.
    LosesAnswers,
}

#[derive(Debug)]
struct State {
    health: Health,
    table: Option<Table>,
    certificates: Option<CertificateSet>,
    /// What it was asked to serve when it took those.
    certified_by: Option<CertificateSet>,
    ports: FrontPorts,
    host_port: u16,
    /// What apps answer with, where a test says so; else 200.
    answers: BTreeMap<SocketAddr, Option<u16>>,
    /// How long a table takes.
    load_takes: Duration,
    in_flight: BTreeMap<SocketAddr, u64>,
    traffic: Traffic,
    turn: usize,
    damage: Vec<String>,
    /// Of apps whose requests are held: how many wait, and when somebody asked last.
    visits: BTreeMap<LegacyName, (u32, Instant)>,
    /// Apps of which it takes nothing new.
    unfit: BTreeSet<LegacyName>,
    /// Every table that was taken, in order.
    taken: Vec<Table>,
}

impl Default for MemoryEdge {
    fn default() -> Self {
        MemoryEdge::new(2000, 2999)
    }
}

impl MemoryEdge {
    /// An edge that has opened these front ports.
    pub fn new(first: u16, last: u16) -> Self {
        let state = State {
            health: Health::Answers,
            table: None,
            certificates: None,
            certified_by: None,
            ports: FrontPorts { first, last, closed: Vec::new() },
            host_port: 8088,
            answers: BTreeMap::new(),
            load_takes: Duration::ZERO,
            in_flight: BTreeMap::new(),
            traffic: Traffic::default(),
            turn: 0,
            damage: Vec::new(),
            visits: BTreeMap::new(),
            unfit: BTreeSet::new(),
            taken: Vec::new(),
        };
        MemoryEdge { state: Arc::new(Mutex::new(state)) }
    }

    /// How calls end from now on.
    pub fn set_health(&self, health: Health) {
        self.state().health = health;
    }

    /// How long it takes from now on until every worker serves a new table.
    pub fn set_load_takes(&self, time: Duration) {
        self.state().load_takes = time;
    }

    /// Starts again with another program on this port; the table is read from disk.
    pub fn restart_with_port_taken(&self, port: u16) {
        self.state().ports.closed.push(port);
    }

    /// Starts again, and every port is its own; the table is read from disk.
    pub fn restart_with_all_ports(&self) {
        self.state().ports.closed.clear();
    }

    /// Front ports that it could not open.
    pub fn closed_ports(&self) -> Vec<u16> {
        self.state().ports.closed.clone()
    }

    /// Starts again with a damaged file beside a table that is whole.
    pub fn restart_with_damage(&self, what: &str) {
        self.state().damage.push(what.to_owned());
    }

    /// Starts again with an empty disk: it serves nothing.
    pub fn restart_without_disk(&self) {
        let mut state = self.state();
        state.table = None;
        state.certificates = None;
    }

    /// What the app at this address answers with; none: it does not.
    pub fn set_answer(&self, upstream: SocketAddr, status: Option<u16>) {
        self.state().answers.insert(upstream, status);
    }

    /// A request comes in at a front port: whose it is and where it went, if anywhere. One that is held waits until
    /// its app has a replica, and comes in again. It is under way until [`MemoryEdge::end_request`].
    pub fn begin_request(&self, front_port: u16) -> Option<(LegacyName, SocketAddr)> {
        let mut state = self.state();
        state.visited(front_port);
        let (instance, address) = state.pick(front_port)?;
        *state.in_flight.entry(address).or_default() += 1;
        Some((instance, address))
    }

    /// One request that went to this address ends well, and at once.
    pub fn end_request(&self, upstream: SocketAddr) {
        self.end_request_with(upstream, 200, Duration::ZERO);
    }

    /// One request that went to this address ends with this status, so long after it came.
    pub fn end_request_with(&self, upstream: SocketAddr, status: u16, took: Duration) {
        let mut state = self.state();
        if let Some(count) = state.in_flight.get_mut(&upstream) {
            *count = count.saturating_sub(1);
        }
        let of = state.traffic.replicas.get(&upstream).map(|replica| replica.instance.clone());
        if let Some(instance) = of {
            state.traffic.ended(&instance, &answer(status, took), [upstream]);
        }
    }

    /// The table that is served.
    pub fn table(&self) -> Option<Table> {
        self.state().table.clone()
    }

    /// The row of an instance, if it is served.
    pub fn row(&self, instance: &LegacyName) -> Option<TableRoute> {
        let table = self.table()?;
        table.routes.into_iter().find(|row| row.instance == *instance)
    }

    /// Every table that was ever taken, in order.
    pub fn taken(&self) -> Vec<Table> {
        self.taken_since(0)
    }

    /// The tables that were taken after the first `known` ones, in order.
    pub fn taken_since(&self, known: usize) -> Vec<Table> {
        self.state().taken.get(known..).unwrap_or_default().to_vec()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&self) -> Result<(), Error> {
        match self.health {
            Health::Answers | Health::LosesAnswers => Ok(()),
            Health::Down => Err(Error::Unavailable("connection refused".into())),
            Health::Ended => Err(Error::Ended),
        }
    }

    fn answer<T>(&self, answer: T) -> Result<T, Error> {
        match self.health {
            Health::LosesAnswers => Err(Error::Unavailable("connection reset".into())),
            Health::Answers | Health::Down | Health::Ended => Ok(answer),
        }
    }

    fn served(&self) -> (Epoch, Generation) {
        self.table.as_ref().map_or_else(Default::default, |table| (table.epoch, table.generation))
    }

    fn load(&mut self, table: &Table) -> Result<(), Error> {
        let (epoch, generation) = self.served();
        if (table.epoch, table.generation) < (epoch, generation) {
            return Err(Error::Stale { epoch, generation });
        }
        if !is_valid(table) {
            return Err(Error::Refused { code: "TABLE_INVALID".to_owned() });
        }
        if (table.epoch, table.generation) == (epoch, generation) && self.table.is_some() {
            let same = self.table.as_ref() == Some(table);
            let refused = || Error::Refused { code: "GENERATION_CONFLICT".to_owned() };
            return if same { Ok(()) } else { Err(refused()) };
        }
        let (fitting, without) = self.fitting(table);
        self.traffic.serves(&fitting);
        self.hold(&fitting);
        self.table = Some(fitting);
        self.taken.push(table.clone());
        self.damage.clear();
        told(without)
    }

    fn pick(&mut self, front_port: u16) -> Option<(LegacyName, SocketAddr)> {
        if self.ports.closed.contains(&front_port) {
            return None;
        }
        let rows = &self.table.as_ref()?.routes;
        let row = rows.iter().find(|row| row.front_port == front_port)?;
        let turn = self.turn.checked_rem(row.upstreams.len())?;
        self.turn += 1;
        Some((row.instance.clone(), row.upstreams.get(turn)?.address()))
    }
}

/// The sizes are those of a small request and its answer.
fn answer(status: u16, took: Duration) -> Answer {
    Answer { status, took, received_bytes: 100, sent_bytes: 200 }
}

fn is_valid(table: &Table) -> bool {
    let mut ports = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut names = BTreeSet::new();
    table.routes.iter().all(|row| {
        ports.insert(row.front_port)
            && hosts.insert(&row.host)
            && row.options.hosts.iter().all(|name| names.insert(name))
            && row.upstreams.iter().all(|upstream| upstream.ip.is_ipv4())
    })
}

#[async_trait]
impl Edge for MemoryEdge {
    async fn load(&self, table: &Table) -> Result<(), Error> {
        let time = self.state().load_takes;
        tokio::time::sleep(time).await;
        let mut state = self.state();
        if state.health != Health::Ended {
            state.admit()?;
        }
        state.load(table)?;
        state.admit()?;
        state.answer(())
    }

    async fn status(&self) -> Result<Status, Error> {
        tokio::task::yield_now().await;
        let state = self.state();
        state.admit()?;
        let (epoch, generation) = state.served();
        let ports = state.ports.clone();
        state.answer(Status {
            epoch,
            generation,
            ports,
            host_port: state.host_port,
            damage: state.damage.clone(),
        })
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        tokio::task::yield_now().await;
        let state = self.state();
        state.admit()?;
        state.answer(state.in_flight.clone())
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        tokio::task::yield_now().await;
        let state = self.state();
        state.admit()?;
        let rows = state.table.iter().flat_map(|table| &table.routes);
        let visits = rows.filter_map(|row| Some((row.instance.clone(), state.visits_of(row)?)));
        state.answer(visits.collect())
    }

    async fn traffic(&self) -> Result<Traffic, Error> {
        let state = self.state();
        state.admit()?;
        state.answer(state.traffic.with_in_flight(&state.in_flight))
    }

    async fn probe(&self, front_port: u16, _path: &str) -> Result<Option<u16>, Error> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.admit()?;
        let rows = state.table.iter().flat_map(|table| &table.routes);
        let row = rows.into_iter().find(|row| row.front_port == front_port);
        let routed = row.map(|row| row.instance.clone());
        let picked = state.pick(front_port).map(|(_, address)| address);
        let status = match picked.map(|address| state.answers.get(&address)) {
            // The edge itself answers for an app that does not.
            Some(Some(status)) => status.unwrap_or(503),
            Some(None) => 200,
            None => {
                if routed.is_some() {
                    503
                } else {
                    404
                }
            }
        };
        if let Some(instance) = routed {
            state.traffic.ended(&instance, &answer(status, Duration::ZERO), picked);
        }
        state.answer(Some(status))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::contract::edge::{Apps, holds, table};

    #[derive(Debug)]
    struct Simulated(MemoryEdge);

    #[async_trait]
    impl Apps for Simulated {
        async fn start(&self, status: u16) -> SocketAddr {
            let mut state = self.0.state();
            let port = 20_000 + u16::try_from(state.answers.len()).expect("few apps are started");
            let address = (Ipv4Addr::LOCALHOST, port).into();
            state.answers.insert(address, Some(status));
            address
        }
    }

    #[tokio::test]
    async fn the_edge_in_memory_keeps_the_contract() {
        let edge = MemoryEdge::default();
        holds(&edge, &Simulated(edge.clone())).await;
    }

    #[tokio::test]
    async fn a_request_is_under_way_until_it_ends() {
        let edge = MemoryEdge::default();
        let address: SocketAddr = "192.0.2.1:20000".parse().unwrap();
        assert_eq!(edge.begin_request(2000), None);
        let table = table(1, 1, &[("shop", 2000, &[address])]);
        edge.load(&table).await.unwrap();
        assert_eq!(edge.begin_request(2000), Some(("shop".parse().unwrap(), address)));
        assert_eq!(edge.in_flight().await.unwrap()[&address], 1);
        edge.end_request(address);
        assert_eq!(edge.in_flight().await.unwrap()[&address], 0);
    }
}
