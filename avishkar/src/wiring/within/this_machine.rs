//! [`ThisMachine`]: the machine and the process of `avishkar up`, as a lifecycle manager in it sees them: the process'
//! services are the parts of its one machine.
//!
//! It begins services anew in the process. It makes, stops and removes nothing.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chassis::process::{Member, NotRestarted, Roster, Turn};
use common::digest::ImageRef;
use common::failure::{Failure, FailureCode};
use common::id::{Epoch, Generation};
use common::name::{NodeName, PartName};
use common::port::container::ContainerState;
use common::port::host::{Credential, Gate};
use common::port::machines::{self, Ability, Machine, MachineSpec, Power, Shape};
use common::port::nodes::{self, Agent, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::store::{self, Op, Precondition};
use common::port::{Clock, Machines, Nodes, Parts, Store};
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::{self, path};
use common::service::ServiceName;
use lifecycle_manager::ports::{Enrolled, Enrolment, NotEnrolled};
use rollout::machine::Journal;
use rollout::platform::Platform;

const ONLY: &str = "it is the machine that the whole platform runs on";
const PROCESS: &str = "the services of this platform are one process";

/// The one machine. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct ThisMachine {
    name: NodeName,
    ip: IpAddr,
    roster: Roster,
    /// Its agent, which knows who may still give orders.
    nodes: Arc<dyn Nodes>,
}

impl ThisMachine {
    pub(crate) fn new(name: NodeName, ip: IpAddr, roster: Roster, nodes: Arc<dyn Nodes>) -> Self {
        ThisMachine { name, ip, roster, nodes }
    }

    /// Writes down that there is this machine, as an import does with those of a description.
    pub(crate) async fn introduce(
        &self,
        store: &dyn Store,
        clock: &dyn Clock,
    ) -> Result<(), store::Error> {
        let record = MachineRecord {
            schema: 1,
            name: self.name.clone(),
            shape: Shape::Given,
            goal: MachineGoal::Node,
            generation: Generation(1),
            gate: None,
            user: String::new(),
            credential: Credential::KeyFile(PathBuf::new()),
            id: None,
            host_key: None,
            address: Some(self.ip),
            state: MachineState::Preparing,
            reason: "it is this machine".to_owned(),
            since: clock.now(),
            restarts: Vec::new(),
        };
        let (path, value) = (path::machine(&self.name), record::encode(&record));
        let put = Op::Put { path, value, precondition: Precondition::Absent };
        match store.commit(vec![put]).await {
            Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
            Err(err) => Err(err),
        }
    }

    fn failed(&self, failure: Failure) -> nodes::Error {
        nodes::Error::Failed { node: self.name.clone(), failure }
    }

    fn one_process(&self, message: &str) -> nodes::Error {
        self.failed(Failure::new(FailureCode::SingleProcess, message))
    }

    fn part(&self, part: &PartName) -> Result<Part, nodes::Error> {
        let found = self.all().into_iter().find(|one| one.name == *part);
        found.ok_or_else(|| self.absent(part))
    }

    fn absent(&self, part: &PartName) -> nodes::Error {
        let message = format!("{part} is no service of this process");
        self.failed(Failure::new(FailureCode::ServiceUnknown, message))
    }

    /// The agent is what has parts, and none of them.
    fn all(&self) -> Vec<Part> {
        let members = self.roster.members().into_iter();
        let services = members.filter(|(service, _)| *service != ServiceName::NodeAgent);
        let mut parts: Vec<Part> =
            services.filter_map(|(service, it)| shown(service, &it)).collect();
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        parts
    }

    fn here(&self, name: &NodeName) -> Result<Machine, machines::Error> {
        if *name != self.name {
            return Err(machines::Error::NotFound(name.clone()));
        }
        Ok(Machine {
            name: self.name.clone(),
            id: None,
            power: Power::Running,
            address: Some(self.ip),
            entry: Gate::new(self.ip.to_string()),
            user: String::new(),
            host_key: None,
        })
    }

    fn cannot<T>(&self, what: Ability) -> Result<T, machines::Error> {
        Err(machines::Error::Cannot { name: self.name.clone(), what, why: ONLY })
    }
}

fn shown(service: ServiceName, member: &Member) -> Option<Part> {
    let state = match member.turn {
        Turn::Runs { since } => ContainerState::Running { since },
        Turn::Restarts { since } => {
            ContainerState::Exited { code: 0, out_of_memory: false, at: since }
        }
    };
    let runs = matches!(member.turn, Turn::Runs { .. });
    let is_silent = !member.lifecycle.silent_loops().is_empty();
    Some(Part {
        name: service.as_str().parse().ok()?,
        // It was there before anybody asked for it, and has no other specification.
        generation: Generation(1),
        epoch: Epoch(0),
        spec_hash: String::new(),
        state,
        healthy: Some(runs && member.lifecycle.is_ready() && !is_silent),
        apart: false,
        restarts: member.restarts,
    })
}

#[async_trait]
impl Parts for ThisMachine {
    /// What runs is as it should be.
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, nodes::Error> {
        self.nodes.announce(agent, issuer).await?;
        self.part(&spec.name)
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), nodes::Error> {
        self.nodes.announce(agent, issuer).await?;
        let runs = self.part(&removal.name).is_ok();
        if runs { Err(self.one_process(PROCESS)) } else { Ok(()) }
    }

    /// Returns at once: who asks may be among those that end.
    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, nodes::Error> {
        self.nodes.announce(agent, issuer).await?;
        let service: ServiceName = name.as_str().parse().map_err(|_| self.absent(name))?;
        match self.roster.restart(service) {
            Ok(()) => self.part(name),
            Err(NotRestarted::Absent) => Err(self.absent(name)),
            Err(err @ NotRestarted::Fixed) => {
                Err(self.one_process(&format!("{name}: {err}, as {PROCESS}")))
            }
            Err(err @ NotRestarted::Stopping) => {
                let (node, source) = (self.name.clone(), err.into());
                Err(nodes::Error::Unreachable { node, source })
            }
        }
    }

    async fn parts(&self, _: &Agent) -> Result<Vec<Part>, nodes::Error> {
        Ok(self.all())
    }

    async fn part_logs(
        &self,
        _: &Agent,
        name: &PartName,
        _: usize,
    ) -> Result<Vec<String>, nodes::Error> {
        let message = format!("{name} has no log of its own: {PROCESS}, with one log for all");
        Err(self.one_process(&message))
    }

    async fn images(&self, _: &Agent) -> Result<Vec<ImageRef>, nodes::Error> {
        Ok(Vec::new())
    }

    async fn push_image(
        &self,
        _: &Agent,
        _: Issuer,
        _: &PartImage,
        _: &str,
    ) -> Result<ImageRef, nodes::Error> {
        Err(self.one_process("images of this platform stay in this machine's engine"))
    }

    /// Nobody fetches images from elsewhere.
    async fn registry_at(&self, _: &Agent, _: Issuer, _: SocketAddr) -> Result<(), nodes::Error> {
        Ok(())
    }
}

#[async_trait]
impl Machines for ThisMachine {
    fn lacks(&self, _: Ability) -> Option<&'static str> {
        Some(ONLY)
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, machines::Error> {
        Ok(self.here(name).ok())
    }

    async fn list(&self) -> Result<Vec<Machine>, machines::Error> {
        Ok(vec![self.here(&self.name)?])
    }

    async fn create(&self, _: &MachineSpec) -> Result<Machine, machines::Error> {
        self.cannot(Ability::Create)
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, machines::Error> {
        self.here(name)
    }

    async fn stop(&self, _: &NodeName) -> Result<(), machines::Error> {
        self.cannot(Ability::Stop)
    }

    async fn restart(&self, _: &NodeName) -> Result<Machine, machines::Error> {
        self.cannot(Ability::Restart)
    }

    async fn delete(&self, _: &NodeName) -> Result<(), machines::Error> {
        self.cannot(Ability::Delete)
    }
}

#[async_trait]
impl Enrolment for ThisMachine {
    async fn enrol(
        &self,
        _: &Platform,
        name: &NodeName,
        _: &dyn Journal,
    ) -> Result<Enrolled, NotEnrolled> {
        let message = format!("machine {name} is not made a node here: {ONLY}");
        Err(NotEnrolled::Failed(Failure::new(FailureCode::NodeUnavailable, message)))
    }
}
