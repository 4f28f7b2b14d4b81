//! A computer from which somebody acts: machines in memory, an authority, images, and the agents that run on machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::name::PartName;
use common::port::authority::{self, Papers};
use common::port::host::{ChunkStream, Credential, Gate};
use common::port::images;
use common::port::machines::{LocalShape, Shape};
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::{Authority, Cause, Clock as _, Images, Parts};
use common::service::ServiceName;
use futures::{StreamExt as _, stream};
use rollout::Failure;
use rollout::machine::{Goal, Journal, Ports, Step, Trust};
use rollout::platform::PlannedMachine;
use testkit::hosts::machine_programs as engine;
use testkit::{ManualClock, MemoryHosts, MemoryMachines};

pub(crate) const KEY: &str = "/keys/platform";
pub(crate) const ADDRESS: &str = "192.0.2.10";

/// Machines, and everything to make nodes of them.
pub(crate) struct World {
    pub(crate) hosts: MemoryHosts,
    pub(crate) machines: MemoryMachines,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ports: Ports,
}

impl World {
    pub(crate) fn new() -> Self {
        let hosts = MemoryHosts::new();
        engine::install(&hosts);
        let machines = MemoryMachines::new(hosts.clone());
        let clock = Arc::new(ManualClock::default());
        let trust = Trust {
            authority: Arc::new(FixedAuthority("ca")),
            parts: Arc::new(AgentsOnMachines(hosts.clone())),
        };
        let backends: BTreeMap<&'static str, Arc<dyn common::port::Machines>> =
            BTreeMap::from([("local", Arc::new(machines.clone()) as _)]);
        let ports = Ports {
            hosts: Arc::new(hosts.clone()),
            backends,
            images: Arc::new(ListedImages),
            clock: Arc::clone(&clock) as _,
            trust: Some(trust),
        };
        World { hosts, machines, clock, ports }
    }

    /// A given machine of Debian without anything, where root signs in with a password.
    pub(crate) fn given(&self) -> Goal {
        self.hosts.add(ADDRESS);
        self.hosts.place_password("/keys/password", "right");
        let now = self.clock.now().as_second();
        self.hosts.with(ADDRESS, |system| {
            engine::bare(system, now);
            system.set_password("root", "right");
        });
        let machine = PlannedMachine {
            gate: Some(Gate::new(ADDRESS)),
            credential: Credential::PasswordFile("/keys/password".into()),
            ..planned(Shape::Given)
        };
        goal(machine)
    }

    /// A machine that is to be made.
    pub(crate) fn local() -> Goal {
        let shape = LocalShape {
            memory_bytes: 1 << 30,
            cpu_millis: 1000,
            address: None,
            machines_socket: false,
        };
        goal(planned(Shape::Local(shape)))
    }

    /// A machine that was just made has what a new machine has.
    pub(crate) fn furnish(&self) {
        let now = self.clock.now().as_second();
        self.hosts.with(ADDRESS, |system| engine::bare(system, now));
    }

    pub(crate) fn effects(&self) -> Vec<String> {
        let text = self.hosts.with(ADDRESS, |system| engine::text(system, engine::EFFECTS));
        text.lines().map(str::to_owned).collect()
    }
}

fn planned(shape: Shape) -> PlannedMachine {
    PlannedMachine {
        name: "node-1".parse().unwrap(),
        shape,
        gate: None,
        address: None,
        user: "root".to_owned(),
        credential: Credential::KeyFile(KEY.into()),
        id: None,
        host_key: None,
    }
}

pub(crate) fn goal(machine: PlannedMachine) -> Goal {
    let program = Digest::of(b"program");
    Goal {
        platform: "fleet".parse().unwrap(),
        machine,
        program: program.clone(),
        images: vec![program, Digest::of(b"registry")],
        denied_networks: vec!["192.0.2.0/24".to_owned()],
        key: KEY.into(),
        ports: vec![5000, 2181],
        openings: Vec::new(),
        build_env: Some(Bytes::from_static(b"build-env")),
    }
}

/// Papers that say what they are for.
#[derive(Debug)]
pub(crate) struct FixedAuthority(pub(crate) &'static str);

impl Authority for FixedAuthority {
    fn certificate(&self) -> &str {
        self.0
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, authority::Error> {
        let certificate = format!("{} says {service} {}", self.0, names.join(" "));
        Ok(Papers { key: format!("key of {certificate}"), certificate })
    }
}

/// Every image is there; an archive of some is their names.
#[derive(Debug)]
pub(crate) struct ListedImages;

#[async_trait]
impl Images for ListedImages {
    async fn find(&self, name: &str) -> Result<Option<Digest>, images::Error> {
        Ok(Some(Digest::of(name.as_bytes())))
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, images::Error> {
        let names: Vec<_> = images.iter().map(|id| Ok(Bytes::from(format!("{id}\n")))).collect();
        Ok(stream::iter(names).boxed())
    }
}

/// An agent answers where its container runs, and has the certificate that its issuer trusts.
#[derive(Debug)]
pub(crate) struct AgentsOnMachines(pub(crate) MemoryHosts);

const NOT_HERE: &str = "nobody asks for this here";

#[async_trait]
impl Parts for AgentsOnMachines {
    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        let address = agent.address.ip().to_string();
        let runs = self.0.with(&address, |system| engine::running_agent(system).is_some());
        let silent = || Error::Unreachable { node: agent.node.clone(), source: "refused".into() };
        if runs { Ok(Vec::new()) } else { Err(silent()) }
    }

    async fn ensure_part(&self, _: &Agent, _: Issuer, _: &PartSpec) -> Result<Part, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn remove_part(&self, _: &Agent, _: Issuer, _: &PartRemoval) -> Result<(), Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn restart_part(&self, _: &Agent, _: Issuer, _: &PartName) -> Result<Part, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn part_logs(&self, _: &Agent, _: &PartName, _: usize) -> Result<Vec<String>, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn images(&self, _: &Agent) -> Result<Vec<ImageRef>, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn push_image(
        &self,
        _: &Agent,
        _: Issuer,
        _: &PartImage,
        _: &str,
    ) -> Result<ImageRef, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn registry_at(&self, _: &Agent, _: Issuer, _: SocketAddr) -> Result<(), Error> {
        unreachable!("{NOT_HERE}")
    }
}

/// Writes down what it hears; may lose its power at one of the moments.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    heard: Mutex<Vec<String>>,
    known: Mutex<Option<PlannedMachine>>,
    /// After so many moments nothing is written any more.
    pub(crate) ends_at: Option<usize>,
}

impl Notes {
    pub(crate) fn ending_at(moment: usize) -> Self {
        Notes { ends_at: Some(moment), ..Notes::default() }
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// What was written down of the machine.
    pub(crate) fn known(&self) -> Option<PlannedMachine> {
        self.known.lock().unwrap().clone()
    }

    fn hear(&self, what: String) -> Result<(), Cause> {
        let mut heard = self.heard.lock().unwrap();
        if self.ends_at.is_some_and(|end| heard.len() >= end) {
            return Err("the power went".into());
        }
        heard.push(what);
        Ok(())
    }
}

#[async_trait]
impl Journal for Notes {
    async fn begins(&self, step: &Step) -> Result<(), Cause> {
        self.hear(format!("begin: {step}"))
    }

    async fn found(&self, machine: &PlannedMachine) -> Result<(), Cause> {
        *self.known.lock().unwrap() = Some(machine.clone());
        Ok(())
    }

    async fn ends(&self, step: &Step, machine: &PlannedMachine) -> Result<(), Cause> {
        self.hear(format!("end: {step}"))?;
        *self.known.lock().unwrap() = Some(machine.clone());
        Ok(())
    }
}

/// Makes it a node, telling this journal.
pub(crate) async fn ensure(
    ports: &Ports,
    goal: &Goal,
    notes: &Notes,
) -> Result<PlannedMachine, Failure> {
    rollout::machine::ensure(ports, goal, notes).await
}
