//! A simulated lifecycle manager for who speaks for people: [`MemoryUpkeep`].
//!
//! It takes what is asked for, and remembers it; machines that are added stay in preparation. Its faults are one that is away,
//! and one that refuses everything with a problem.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::id::RequestId;
use common::name::NodeName;
use common::port::Upkeep;
use common::port::host::HostKey;
use common::port::upkeep::{Addition, Error, Machine, Pin, Target};
use common::problem::Problem;
use common::record::machine::{MachineGoal, MachineState};
use common::service::ServiceName;
use jiff::Timestamp;

/// Machines and requests in memory. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryUpkeep {
    keeper: Arc<Mutex<Keeper>>,
}

#[derive(Debug, Default)]
struct Keeper {
    is_away: bool,
    refusal: Option<Problem>,
    machines: BTreeMap<NodeName, Kept>,
    requests: BTreeMap<RequestId, String>,
    asked: Vec<String>,
}

#[derive(Debug)]
struct Kept {
    machine: Machine,
    /// Only what was added can go.
    is_added: bool,
    host_key: Option<HostKey>,
}

impl MemoryUpkeep {
    /// With these machines of a description, which are ready.
    pub fn new(machines: &[&str]) -> Self {
        let upkeep = MemoryUpkeep::default();
        for name in machines {
            let name: NodeName = name.parse().expect("the test names machines");
            let machine = machine(&name, MachineState::Ready, "its agent answers");
            upkeep
                .keeper()
                .machines
                .insert(name, Kept { machine, is_added: false, host_key: None });
        }
        upkeep
    }

    /// From now on nobody answers, or somebody again.
    pub fn set_away(&self, is_away: bool) {
        self.keeper().is_away = is_away;
    }

    /// From now on everything is refused so, or nothing any more.
    pub fn refuse(&self, refusal: Option<Problem>) {
        self.keeper().refusal = refusal;
    }

    /// The machine shows another host key than the one that was pinned.
    pub fn quarantine(&self, name: &NodeName) {
        if let Some(kept) = self.keeper().machines.get_mut(name) {
            kept.machine.state = MachineState::Quarantined;
            "it has another host key".clone_into(&mut kept.machine.reason);
        }
    }

    /// What was asked for and taken, in order: `restart services/monitoring`. Repeats are none.
    pub fn asked(&self) -> Vec<String> {
        self.keeper().asked.clone()
    }

    /// What was asked for under this id.
    pub fn asked_under(&self, request: RequestId) -> Option<String> {
        self.keeper().requests.get(&request).cloned()
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self) -> Result<MutexGuard<'_, Keeper>, Error> {
        let keeper = self.keeper();
        if keeper.is_away {
            return Err(Error::Unavailable("connection refused".into()));
        }
        match &keeper.refusal {
            Some(problem) => Err(Error::Refused(Box::new(problem.clone()))),
            None => Ok(keeper),
        }
    }
}

impl Keeper {
    /// Whether the request is new; it was not if it asked for the same before.
    fn take(&mut self, request: RequestId, what: String) -> Result<bool, Error> {
        match self.requests.get(&request) {
            Some(before) if *before == what => Ok(false),
            Some(_) => Err(refused(409, "IDEMPOTENCY_MISMATCH", "it was used for something else")),
            None => {
                self.asked.push(what.clone());
                self.requests.insert(request, what);
                Ok(true)
            }
        }
    }

    fn machine(&mut self, name: &NodeName) -> Result<&mut Kept, Error> {
        let unknown = || refused(404, "NODE_UNKNOWN", &format!("no machine is called {name}"));
        self.machines.get_mut(name).ok_or_else(unknown)
    }
}

fn machine(name: &NodeName, state: MachineState, reason: &str) -> Machine {
    Machine {
        name: name.clone(),
        kind: "local".to_owned(),
        address: None,
        goal: MachineGoal::Node,
        state,
        reason: reason.to_owned(),
        since: Timestamp::UNIX_EPOCH,
        restarts: Vec::new(),
        attempts: 0,
        failure: None,
    }
}

fn refused(status: u16, code: &str, detail: &str) -> Error {
    Error::Refused(Box::new(Problem::new(status, code, "It cannot be", detail)))
}

/// A service has document 001's name and ours.
fn service(name: &str) -> Option<ServiceName> {
    let named = |service: &ServiceName| service.registry_name() == name || service.as_str() == name;
    ServiceName::ALL.into_iter().find(named).filter(|service| *service != ServiceName::NodeAgent)
}

#[async_trait]
impl Upkeep for MemoryUpkeep {
    async fn machines(&self) -> Result<Vec<Machine>, Error> {
        tokio::task::yield_now().await;
        Ok(self.admitted()?.machines.values().map(|kept| kept.machine.clone()).collect())
    }

    async fn restart(&self, request: RequestId, target: &Target) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut keeper = self.admitted()?;
        let what = match target {
            Target::Service(name) => {
                let unknown = || refused(404, "NOT_FOUND", "no service is called so");
                format!("restart services/{}", service(name.as_str()).ok_or_else(unknown)?)
            }
            Target::Node(_) | Target::App(_) | Target::Model(_) => format!("restart {target}"),
        };
        keeper.take(request, what).map(drop)
    }

    async fn add(&self, request: RequestId, addition: &Addition) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut keeper = self.admitted()?;
        let name = addition.name.clone();
        let what = format!("add {}", name.as_ref().map_or("-", NodeName::as_str));
        if !keeper.take(request, what)? {
            return Ok(());
        }
        let numbered = || format!("added-{}", keeper.machines.len()).parse().ok();
        let name = name.or_else(numbered).filter(|name| !keeper.machines.contains_key(name));
        if let Some(name) = name {
            let machine = machine(&name, MachineState::Preparing, &addition.reason);
            keeper.machines.insert(name, Kept { machine, is_added: true, host_key: None });
        }
        Ok(())
    }

    async fn remove(&self, name: &NodeName) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut keeper = self.admitted()?;
        let kept = keeper.machine(name)?;
        if !kept.is_added {
            let why = format!("{name} is one of the described machines of the platform");
            return Err(refused(409, "MACHINE_IN_USE", &why));
        }
        kept.machine.goal = MachineGoal::Absent;
        kept.machine.state = MachineState::Leaving;
        keeper.asked.push(format!("remove {name}"));
        Ok(())
    }

    async fn pin(&self, name: &NodeName, pin: &Pin) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut keeper = self.admitted()?;
        let kept = keeper.machine(name)?;
        if kept.machine.state == MachineState::Quarantined {
            kept.machine.state = MachineState::Preparing;
        } else if let Some(known) = &kept.host_key {
            if *known == pin.host_key {
                return Ok(());
            }
            let why = format!("{name} is in no quarantine, and known by another host key");
            return Err(refused(409, "NOT_QUARANTINED", &why));
        }
        kept.host_key = Some(pin.host_key.clone());
        keeper.asked.push(format!("pin {name} {}", pin.host_key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::upkeep::holds;

    #[tokio::test]
    async fn the_upkeep_in_memory_keeps_the_contract() {
        let upkeep = MemoryUpkeep::new(&["node-1", "node-2"]);
        upkeep.quarantine(&"node-2".parse().unwrap());
        holds(&upkeep, &"node-1".parse().unwrap(), &"node-2".parse().unwrap()).await;
    }
}
