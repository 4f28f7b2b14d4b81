//! The fleet: machines, their agents, and the parts of the platform as processes on them. What the services that keep
//! machines and parts are really about, whatever they believe.
//!
//! Nothing here decides anything for a service; a storm of apps has an empty fleet.

mod blow;
mod chaos;
mod description;
mod errand;
mod lie;
mod power;
mod process;
mod story;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use common::name::{NodeName, PartName};
use common::port::Clock;
use common::port::nodes::Agent;
use common::service::ServiceName;
use rollout::parts::listeners;
use testkit::nodes::Reach;
use testkit::{MemoryParts, MemoryWebhooks};

pub(crate) use self::blow::{CRASH_AT_CALL, KINDS};
pub(crate) use self::description::{platform, vault};
pub use self::errand::Errand;
pub(crate) use self::power::{cycle, power_on};
use self::process::Process;
pub(crate) use self::process::{attend, exited};
pub(crate) use self::story::{run_errand, tell, try_out};
pub use self::trial::Trial;
use crate::life::Life;
use crate::settings::FleetConfigs;
use crate::stage::Owner;

/// How many machines there are.
pub(crate) const MACHINES: usize = 4;

/// A part of a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) node: NodeName,
    pub(crate) part: PartName,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.part, self.node)
    }
}

/// How a process looks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Ready,
    /// It answers, and is not ready.
    Answers,
    /// It runs, and says nothing.
    Hangs,
}

/// The machines and what runs on them.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) parts: MemoryParts,
    pub(crate) webhooks: MemoryWebhooks,
    pub(crate) configs: OnceLock<FleetConfigs>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where each machine is, as far as it is not up.
    away: BTreeMap<NodeName, Reach>,
    /// Machines that nobody can switch on.
    unpowered: BTreeSet<NodeName>,
    processes: BTreeMap<Spot, Process>,
    /// When processes ended by themselves.
    ends: BTreeMap<Spot, Vec<u64>>,
    /// Lives that are not scheduled.
    hanging: BTreeSet<Owner>,
    /// Monitoring sees nobody.
    blind: bool,
}

impl Fleet {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Fleet {
            parts: MemoryParts::new(clock),
            webhooks: MemoryWebhooks::new(),
            configs: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reach(&self, node: &NodeName) -> Reach {
        self.state().away.get(node).copied().unwrap_or_default()
    }

    /// How the process of a part looks; none if there is none.
    pub(crate) fn look(&self, spot: &Spot, now: u64) -> Option<Look> {
        let state = self.state();
        let process = state.processes.get(spot)?;
        let hangs = process.life.as_ref().is_some_and(|life| state.hanging.contains(&life.number));
        Some(process.look(hangs, now))
    }

    pub(crate) fn is_ready(&self, spot: &Spot, now: u64) -> bool {
        self.look(spot, now) == Some(Look::Ready)
    }

    /// Where a part has a process, whether its machine can be reached or not.
    pub(crate) fn runs_on(&self, part: &PartName) -> BTreeSet<NodeName> {
        let state = self.state();
        let its = state.processes.keys().filter(|spot| spot.part == *part);
        its.map(|spot| spot.node.clone()).collect()
    }

    /// The lives of all processes that have one, by where they are.
    pub(crate) fn lives(&self) -> Vec<Arc<Life>> {
        let state = self.state();
        state.processes.values().filter_map(|process| process.life.clone()).collect()
    }

    pub(crate) fn is_blind(&self) -> bool {
        self.state().blind
    }
}

/// What a service's part is called.
pub(crate) fn part_of(service: ServiceName) -> PartName {
    service.as_str().parse().expect("services' names are host labels")
}

/// The part behind a mutual-TLS listener.
pub(crate) fn at(agents: &[Agent], address: SocketAddr) -> Option<Spot> {
    let agent = agents.iter().find(|agent| agent.address.ip() == address.ip())?;
    let listens = |service: &ServiceName| {
        listeners(*service).is_some_and(|ports| ports.mutual_tls == address.port())
    };
    let service = ServiceName::ALL.into_iter().find(listens)?;
    Some(Spot { node: agent.node.clone(), part: part_of(service) })
}
