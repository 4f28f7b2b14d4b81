//! A backend of given machines, sound or with a flaw.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::Machines;
use common::port::host::{Error as HostError, Gate, PublicKey};
use common::port::machines::{Ability, Error, Machine, MachineSpec, Power};
use testkit::MemoryHosts;
use testkit::contract::machines::GivenWorld;

const RUNS: &str = "node-1";
const SILENT: &str = "node-2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenFlaw {
    None,
    HidesTheSilent,
    TakesSilenceForSleep,
    Deletes,
    Stops,
    NeverBoots,
}

/// Two machines: one runs, one does not answer.
#[derive(Debug)]
pub(super) struct Given {
    flaw: GivenFlaw,
    boots: AtomicU32,
}

impl Given {
    pub(super) fn with(flaw: GivenFlaw) -> Self {
        Given { flaw, boots: AtomicU32::new(1) }
    }

    fn machine(&self, name: &NodeName) -> Option<Machine> {
        let power = match (name.as_str(), self.flaw) {
            (RUNS, _) => Power::Running,
            (SILENT, GivenFlaw::TakesSilenceForSleep) => Power::Stopped,
            (SILENT, _) => Power::Unknown,
            _ => return None,
        };
        let (name, user) = (name.clone(), "ops".to_owned());
        let entry = Gate::new("192.0.2.1");
        Some(Machine { name, id: None, power, address: None, entry, user, host_key: None })
    }

    fn cannot<T>(&self, name: &NodeName, what: Ability) -> Result<T, Error> {
        let why = self.lacks(what).unwrap_or_default();
        Err(Error::Cannot { name: name.clone(), what, why })
    }
}

#[async_trait]
impl Machines for Given {
    fn lacks(&self, what: Ability) -> Option<&'static str> {
        (what != Ability::Restart).then_some("it was given")
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        Ok(self.machine(name))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        let all = [RUNS, SILENT].map(|name| name.parse::<NodeName>().unwrap());
        let hidden = self.flaw == GivenFlaw::HidesTheSilent;
        let shown = all.iter().filter(|name| !(hidden && name.as_str() == SILENT));
        Ok(shown.filter_map(|name| self.machine(name)).collect())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        match self.machine(&spec.name) {
            Some(machine) => Ok(machine),
            None => self.cannot(&spec.name, Ability::Create),
        }
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        match self.machine(name) {
            Some(machine) if machine.power == Power::Running => Ok(machine),
            _ => self.cannot(name, Ability::Start),
        }
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        if self.flaw == GivenFlaw::Stops { Ok(()) } else { self.cannot(name, Ability::Stop) }
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let machine = self.machine(name).ok_or_else(|| Error::NotFound(name.clone()))?;
        if machine.power != Power::Running {
            let source = HostError::Unreachable { at: machine.entry, source: "no route".into() };
            return Err(Error::Machine { name: name.clone(), source });
        }
        if self.flaw != GivenFlaw::NeverBoots {
            self.boots.fetch_add(1, Ordering::Relaxed);
        }
        Ok(machine)
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        match self.machine(name) {
            Some(_) if self.flaw != GivenFlaw::Deletes => self.cannot(name, Ability::Delete),
            _ => Ok(()),
        }
    }
}

#[async_trait(?Send)]
impl GivenWorld for Given {
    fn machines(&self) -> &dyn Machines {
        self
    }

    fn given(&self) -> NodeName {
        RUNS.parse().unwrap()
    }

    fn silent(&self) -> NodeName {
        SILENT.parse().unwrap()
    }

    fn authorized_key(&self) -> PublicKey {
        MemoryHosts::new().make_key("/keys/ops", "ops")
    }

    async fn boot(&self, _: &NodeName) -> String {
        self.boots.load(Ordering::Relaxed).to_string()
    }
}
