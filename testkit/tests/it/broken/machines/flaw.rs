//! [`Flaw`]: what a broken backend does otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::host::{Credential, HostKey, PublicKey};
use common::port::machines::{Ability, Error, Machine, MachineId, MachineSpec, Power, Shape};
use common::port::{Hosts, Machines};
use testkit::MemoryMachines;
use testkit::contract::machines::World;
use testkit::machines::Trial;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    DeletesOnlyWhatIsThere,
    HidesTheKey,
    RestartsWhatRuns,
    IsConfusedByTwo,
    LetsNobodyIn,
    HasOneKey,
    TakesAnySpecification,
    GivesAny,
    Tidies,
    StopsNothing,
    NeverStops,
    LeavesItStopped,
    NeverRestarts,
    NeverLooks,
    ListsTheDead,
    TakesItForTheFormer,
}

#[derive(Debug, Default)]
struct Memory {
    making: BTreeSet<NodeName>,
    first_key: Option<HostKey>,
    tidied: BTreeSet<NodeName>,
    power: BTreeMap<NodeName, Power>,
    dead: Vec<Machine>,
}

/// A backend in memory with a flaw.
#[derive(Debug)]
struct FlawedMachines {
    machines: MemoryMachines,
    flaw: Flaw,
    memory: Arc<Mutex<Memory>>,
}

impl FlawedMachines {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    /// A machine as it is shown.
    fn shown(&self, mut machine: Machine) -> Machine {
        let mut memory = self.memory();
        if self.flaw == Flaw::HidesTheKey {
            machine.host_key = None;
        }
        if self.flaw == Flaw::HasOneKey {
            let shown = machine.host_key.take();
            machine.host_key = memory.first_key.clone().or(shown);
            memory.first_key.clone_from(&machine.host_key);
        }
        if self.flaw == Flaw::TakesItForTheFormer {
            machine.id = Some(MachineId(machine.name.to_string()));
        }
        if self.flaw == Flaw::NeverLooks {
            let remembered = memory.power.get(&machine.name).copied();
            machine.power = remembered.unwrap_or(machine.power);
        }
        machine
    }

    fn remember(&self, name: &NodeName, power: Power) {
        self.memory().power.insert(name.clone(), power);
    }

    async fn make(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        let existing = self.machines.look(&spec.name).await?;
        if let Some(machine) = existing {
            let is_stopped = machine.power == Power::Stopped;
            if self.flaw == Flaw::RestartsWhatRuns {
                return self.machines.restart(&spec.name).await;
            }
            if self.flaw == Flaw::TakesAnySpecification
                || self.flaw == Flaw::LeavesItStopped && is_stopped
            {
                return Ok(machine);
            }
        }
        let mut spec = spec.clone();
        if let (Flaw::GivesAny, Shape::Local(shape)) = (self.flaw, &mut spec.shape) {
            shape.address = None;
        }
        let machine = self.machines.create(&spec).await?;
        if self.flaw == Flaw::LetsNobodyIn {
            let hosts = self.machines.hosts();
            hosts.with(&machine.entry.address, |system| system.files.clear());
        }
        Ok(machine)
    }
}

#[async_trait]
impl Machines for FlawedMachines {
    fn lacks(&self, what: Ability) -> Option<&'static str> {
        self.machines.lacks(what)
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        Ok(self.machines.look(name).await?.map(|machine| self.shown(machine)))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        let mut listed = self.machines.list().await?;
        if self.flaw == Flaw::ListsTheDead {
            listed.extend(self.memory().dead.clone());
            listed.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Ok(listed)
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        let is_first = self.memory().making.insert(spec.name.clone());
        if self.flaw == Flaw::IsConfusedByTwo && !is_first {
            let what = "somebody makes it".to_owned();
            return Err(Error::InUse { name: spec.name.clone(), what });
        }
        let made = self.make(spec).await;
        self.memory().making.remove(&spec.name);
        self.remember(&spec.name, Power::Running);
        made.map(|machine| self.shown(machine))
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        let started = self.machines.start(name).await?;
        self.remember(name, Power::Running);
        Ok(self.shown(started))
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        let stopped = if self.flaw == Flaw::NeverStops {
            self.machines.start(name).await.map(drop)
        } else {
            self.machines.stop(name).await
        };
        match stopped {
            Err(Error::NotFound(_)) if self.flaw == Flaw::StopsNothing => return Ok(()),
            stopped => stopped?,
        }
        self.remember(name, Power::Stopped);
        Ok(())
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let restarted = if self.flaw == Flaw::NeverRestarts {
            self.machines.start(name).await?
        } else {
            self.machines.restart(name).await?
        };
        self.remember(name, Power::Running);
        Ok(self.shown(restarted))
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        let existing = self.machines.look(name).await?;
        if existing.is_none() && self.flaw == Flaw::DeletesOnlyWhatIsThere {
            return Err(Error::NotFound(name.clone()));
        }
        if existing.is_none() && self.flaw == Flaw::Tidies {
            self.memory().tidied.insert(name.clone());
        }
        self.memory().dead.extend(existing);
        self.machines.delete(name).await
    }
}

/// The suite's backend behind a flaw.
pub(super) struct Flawed {
    trial: Trial,
    machines: FlawedMachines,
    memory: Arc<Mutex<Memory>>,
}

impl Flawed {
    pub(super) fn with(flaw: Flaw) -> Self {
        let trial = Trial::begin();
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let machines = trial.memory().clone();
        let machines = FlawedMachines { machines, flaw, memory: Arc::clone(&memory) };
        Flawed { trial, machines, memory }
    }
}

#[async_trait(?Send)]
impl World for Flawed {
    fn machines(&self) -> &dyn Machines {
        &self.machines
    }

    fn hosts(&self) -> &dyn Hosts {
        self.trial.hosts()
    }

    fn credential(&self) -> Credential {
        self.trial.credential()
    }

    fn authorized_key(&self) -> PublicKey {
        self.trial.authorized_key()
    }

    fn shape(&self, address: Option<Ipv4Addr>) -> Shape {
        self.trial.shape(address)
    }

    fn other_shape(&self) -> Shape {
        self.trial.other_shape()
    }

    fn fresh_name(&self) -> NodeName {
        self.trial.fresh_name()
    }

    async fn occupy_name(&self, name: &NodeName) {
        self.trial.occupy_name(name).await;
    }

    async fn is_occupied(&self, name: &NodeName) -> bool {
        let tidied = self.memory.lock().unwrap().tidied.contains(name);
        !tidied && self.trial.is_occupied(name).await
    }

    async fn power_off(&self, name: &NodeName) {
        self.trial.power_off(name).await;
    }

    async fn boot(&self, name: &NodeName) -> String {
        self.trial.boot(name).await
    }
}
