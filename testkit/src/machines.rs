//! [`MemoryMachines`]: a backend of machines in memory, whose machines are those of a [`MemoryHosts`].
//!
//! Clones are the same backend. A machine that runs can be signed in to; one that is stopped cannot be reached.

mod trial;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::Machines;
use common::port::host::Gate;
use common::port::machines::{Ability, Error, Machine, MachineId, MachineSpec, Power, Shape};

use crate::MemoryHosts;
use crate::hosts::{Health as HostHealth, System};

pub use self::trial::Trial;

/// Where the addresses begin: 192.0.2.10 is the first.
const FIRST: u8 = 10;

/// Where other machines reach one behind a gate: the same machine of the network 198.51.100.0/24.
pub fn inside(gate: Ipv4Addr) -> Ipv4Addr {
    let [.., last] = gate.octets();
    Ipv4Addr::new(198, 51, 100, last)
}

/// How a backend answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    /// Every call fails.
    Down,
    /// It does not let us.
    RefusesCredentials,
}

/// What becomes of one call that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and the caller is told that it failed.
    Refused,
    /// It is done, and the caller is told that it failed.
    AnswerLost,
}

/// A backend of machines.
#[derive(Debug, Clone)]
pub struct MemoryMachines {
    hosts: MemoryHosts,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    machines: BTreeMap<NodeName, Kept>,
    /// How many were made ever.
    made: usize,
    foreign: BTreeSet<NodeName>,
    /// How many machines there may be.
    quota: Option<usize>,
    lacking: BTreeMap<Ability, &'static str>,
    /// It knows no host key of what it makes.
    vouches_for_none: bool,
    /// Other machines reach what it makes elsewhere than one signs in.
    is_behind_gates: bool,
    health: Health,
    faults: VecDeque<Fault>,
}

#[derive(Debug)]
struct Kept {
    spec: MachineSpec,
    machine: Machine,
}

impl MemoryMachines {
    pub fn new(hosts: MemoryHosts) -> Self {
        MemoryMachines { hosts, state: Arc::default() }
    }

    /// The machines' operating systems.
    pub fn hosts(&self) -> &MemoryHosts {
        &self.hosts
    }

    /// How the backend behaves from now on.
    pub fn set_health(&self, health: Health) {
        self.state().health = health;
    }

    /// There may be so many machines, and no more.
    pub fn set_quota(&self, machines: usize) {
        self.state().quota = Some(machines);
    }

    /// From now on the backend has no way to do this.
    pub fn lack(&self, what: Ability, why: &'static str) {
        self.state().lacking.insert(what, why);
    }

    /// From now on it says no host key of a machine that it makes: not every backend can.
    pub fn vouch_for_no_key(&self) {
        self.state().vouches_for_none = true;
    }

    /// From now on machines reach one another at [`inside`] of the address where one signs in.
    pub fn put_behind_gates(&self) {
        self.state().is_behind_gates = true;
    }

    /// Somebody else's machine has this name.
    pub fn occupy_name(&self, name: &NodeName) {
        self.state().foreign.insert(name.clone());
    }

    /// The next calls that change something fail so, one after another.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// The machine loses its power, not by the platform.
    pub fn power_off(&self, name: &NodeName) {
        if let Some(kept) = self.state().machines.get_mut(name) {
            self.switch_off(kept);
        }
    }

    /// What was asked for, of all machines that exist.
    pub fn specs(&self) -> Vec<MachineSpec> {
        self.state().machines.values().map(|kept| kept.spec.clone()).collect()
    }

    /// Whether somebody else's machine has this name.
    pub fn is_occupied(&self, name: &NodeName) -> bool {
        self.state().foreign.contains(name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self) -> Result<(), Error> {
        tokio::task::yield_now().await;
        match self.state().health {
            Health::Answers => Ok(()),
            Health::Down => Err(Error::Unavailable("connection refused".into())),
            Health::RefusesCredentials => {
                Err(Error::CredentialsRefused("the secret has expired".into()))
            }
        }
    }

    /// Every call that changes something goes through here.
    async fn change<T>(
        &self,
        name: &NodeName,
        what: Ability,
        effect: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.answer().await?;
        if let Some(why) = self.lacks(what) {
            return Err(Error::Cannot { name: name.clone(), what, why });
        }
        let mut state = self.state();
        let lost = || Err(Error::Unavailable("the answer did not come".into()));
        match state.faults.pop_front() {
            None => effect(&mut state),
            Some(Fault::Refused) => lost(),
            Some(Fault::AnswerLost) => effect(&mut state).and_then(|_| lost()),
        }
    }

    fn make(&self, state: &mut State, spec: &MachineSpec) -> Result<Kept, Error> {
        let name = spec.name.clone();
        let wanted = match &spec.shape {
            Shape::Local(shape) => shape.address,
            Shape::Azure(shape) => shape.address,
            Shape::Given => return Err(Error::Refused("given machines are not made".to_owned())),
        };
        if state.foreign.contains(&name) {
            let what = "its name belongs to somebody else".to_owned();
            return Err(Error::InUse { name, what });
        }
        if state.quota.is_some_and(|quota| state.machines.len() >= quota) {
            return Err(Error::Quota { name, what: "there may be no further one".to_owned() });
        }
        let gates = state.machines.values().map(|kept| kept.machine.entry.address.parse());
        let taken: BTreeSet<_> = gates.filter_map(Result::<IpAddr, _>::ok).collect();
        let mut all = (FIRST..).map(|last| Ipv4Addr::new(192, 0, 2, last));
        let free = wanted.or_else(|| all.find(|address| !taken.contains(&(*address).into())));
        let Some(address) = free.filter(|address| !taken.contains(&(*address).into())) else {
            return Err(Error::InUse { name, what: "its address is another machine's".to_owned() });
        };
        let host_key = self.hosts.add(&address.to_string());
        self.hosts.with(&address.to_string(), |system| {
            system.authorize("root", &spec.authorized_key);
        });
        state.made += 1;
        let machine = Machine {
            name,
            id: Some(MachineId(state.made.to_string())),
            power: Power::Running,
            address: Some(if state.is_behind_gates { inside(address) } else { address }.into()),
            entry: Gate::new(address.to_string()),
            user: "root".to_owned(),
            host_key: (!state.vouches_for_none).then_some(host_key),
        };
        Ok(Kept { spec: spec.clone(), machine })
    }

    fn switch_on(&self, kept: &mut Kept) -> Machine {
        if kept.machine.power != Power::Running {
            kept.machine.power = Power::Running;
            self.hosts.with(&kept.machine.entry.address, System::reboot);
        }
        kept.machine.clone()
    }

    fn switch_off(&self, kept: &mut Kept) {
        kept.machine.power = Power::Stopped;
        self.hosts.with(&kept.machine.entry.address, |system| system.health = HostHealth::Off);
    }
}

fn known<'a>(state: &'a mut State, name: &NodeName) -> Result<&'a mut Kept, Error> {
    state.machines.get_mut(name).ok_or_else(|| Error::NotFound(name.clone()))
}

#[async_trait]
impl Machines for MemoryMachines {
    fn lacks(&self, what: Ability) -> Option<&'static str> {
        self.state().lacking.get(&what).copied()
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        self.answer().await?;
        Ok(self.state().machines.get(name).map(|kept| kept.machine.clone()))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        self.answer().await?;
        Ok(self.state().machines.values().map(|kept| kept.machine.clone()).collect())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        let created = self.change(&spec.name, Ability::Create, |state| {
            if let Some(kept) = state.machines.get_mut(&spec.name) {
                if kept.spec == *spec {
                    return Ok(self.switch_on(kept));
                }
                let what = "one of its name and another specification exists".to_owned();
                return Err(Error::InUse { name: spec.name.clone(), what });
            }
            let kept = self.make(state, spec)?;
            let machine = kept.machine.clone();
            state.machines.insert(spec.name.clone(), kept);
            Ok(machine)
        });
        created.await
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        let started = self.change(name, Ability::Start, |state| {
            known(state, name).map(|kept| self.switch_on(kept))
        });
        started.await
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        let stopped = self.change(name, Ability::Stop, |state| {
            known(state, name).map(|kept| self.switch_off(kept))
        });
        stopped.await
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let restarted = self.change(name, Ability::Restart, |state| {
            let kept = known(state, name)?;
            self.switch_off(kept);
            Ok(self.switch_on(kept))
        });
        restarted.await
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        let deleted = self.change(name, Ability::Delete, |state| {
            if let Some(kept) = state.machines.remove(name) {
                self.hosts.remove(&kept.machine.entry.address);
            }
            Ok(())
        });
        deleted.await
    }
}

#[cfg(test)]
mod tests;
