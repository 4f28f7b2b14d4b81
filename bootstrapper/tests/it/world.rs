//! Machines that can be made, one that is given, and computers from which somebody bootstraps a platform of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bootstrapper::description::Description;
use bootstrapper::ports::Files;
use bootstrapper::report::{Event, Report};
use bootstrapper::state::{Book, NotABook, State};
use bootstrapper::{HostKeys, Manner, Novelty, Ports, Trouble, apply};
use bytes::Bytes;
use common::digest::Digest;
use common::id::Epoch;
use common::name::NodeName;
use common::port::authority::{self, Papers};
use common::port::host::ChunkStream;
use common::port::images;
use common::port::machines::{self, Ability, Machine, MachineSpec};
use common::port::nodes::{Agent, Issuer};
use common::port::{Authorities, Authority, Cause, Clock as _, Images, Machines, Parts as _};
use common::service::ServiceName;
use futures::{StreamExt as _, stream};
use testkit::hosts::machine_programs as engine;
use testkit::machines::inside;
use testkit::{ManualClock, MemoryHosts, MemoryMachines, MemoryParts, SeededEntropy};

use crate::agents::AgentsOnMachines;
use crate::files::described;
use crate::power::{Cut, Power, Powered};

/// Three machines that are made, and one that is given: root signs in with a password there.
pub(crate) const FILE: &str = include_str!("world.toml");
pub(crate) const GIVEN: &str = "192.0.2.14";
const MADE: [&str; 3] = ["192.0.2.11", "192.0.2.12", "192.0.2.13"];

/// All machines there are.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) hosts: MemoryHosts,
    pub(crate) machines: MemoryMachines,
    pub(crate) parts: MemoryParts,
    clock: Arc<ManualClock>,
    fate: Arc<Mutex<Fate>>,
    /// What lifecycle managers go by of what they were given.
    pub(crate) taken: Arc<Mutex<BTreeMap<NodeName, Vec<u8>>>>,
    /// Images from which no service of the base becomes ready.
    pub(crate) bad: Arc<Mutex<BTreeSet<Digest>>>,
    /// What a machine's lifecycle manager is not ready by, where it stands in what that one was given.
    pub(crate) wrong: Arc<Mutex<BTreeMap<NodeName, String>>>,
    /// Nobody outside reaches a machine where other machines do.
    pub(crate) is_behind_gates: bool,
}

/// What becomes of machines that are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fate {
    #[default]
    Gone,
    /// Somebody makes them again.
    Back,
    /// Nobody can say what became of them.
    Unknown,
}

impl World {
    pub(crate) fn new() -> Self {
        let hosts = MemoryHosts::new();
        engine::install(&hosts);
        let clock = Arc::new(ManualClock::default());
        let parts = MemoryParts::new(clock.clone());
        for (number, address) in (1..).zip(MADE.into_iter().chain([GIVEN])) {
            parts.add_at(&format!("node-{number}"), address.parse().unwrap());
        }
        hosts.add(GIVEN);
        hosts.place_password("/ops/node-3.password", "right");
        let now = clock.now().as_second();
        hosts.with(GIVEN, |system| {
            engine::bare(system, now);
            system.set_password("root", "right");
        });
        let machines = MemoryMachines::new(hosts.clone());
        World {
            hosts,
            machines,
            parts,
            clock,
            fate: Arc::default(),
            taken: Arc::default(),
            bad: Arc::default(),
            wrong: Arc::default(),
            is_behind_gates: false,
        }
    }

    /// The same where one reaches machines from outside only to sign in.
    pub(crate) fn behind_gates() -> Self {
        let world = World::new();
        for (number, address) in (1..).zip(MADE.into_iter().chain([GIVEN])) {
            world.parts.add_at(&format!("node-{number}"), inside(address.parse().unwrap()).into());
        }
        world.machines.put_behind_gates();
        World { is_behind_gates: true, ..world }
    }

    /// A lifecycle manager leads, and these nodes have heard of it.
    pub(crate) async fn lead(&self, nodes: &[u8]) {
        let leader = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(1) };
        for number in nodes {
            let node = format!("node-{number}").parse().unwrap();
            let address = format!("192.0.2.{}:7443", 10 + number).parse().unwrap();
            let registry = "192.0.2.11:5000".parse().unwrap();
            let agent = Agent { node, address };
            self.parts.registry_at(&agent, leader, registry).await.unwrap();
        }
    }

    /// From now on.
    pub(crate) fn fate(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }

    /// What somebody at a computer of this number has.
    pub(crate) fn ports(&self, computer: u64, power: &Power) -> Ports {
        let hosts: Arc<dyn common::port::Hosts> = Arc::new(self.hosts.clone());
        let local: Arc<dyn Machines> = Arc::new(Furnished(self.clone()));
        let local: Arc<dyn Machines> = Arc::new(Powered::new(power, local));
        Ports {
            hosts: Arc::new(Powered::new(power, hosts)),
            backends: BTreeMap::from([("local", local)]),
            images: Arc::new(ListedImages),
            authorities: Arc::new(NumberedAuthorities(computer)),
            agents: Arc::new(AgentsOnMachines { world: self.clone(), power: power.clone() }),
            files: Arc::new(FilesOf(computer)),
            azure_principal: None,
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(computer)),
        }
    }

    /// The machines of a platform as they are: their agents, their parts, and how often each part was started.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut shown = Vec::new();
        for (number, address) in (1..).zip(MADE.into_iter().chain([GIVEN])) {
            let name: NodeName = format!("node-{number}").parse().unwrap();
            let agent = self.is_there(&name)
                && self.hosts.with(address, |system| engine::running_agent(system).is_some());
            let parts: Vec<String> = self
                .parts
                .parts_of(&name)
                .iter()
                .map(|part| {
                    format!("{} x{}", part.name, self.parts.engine(&name).starts(&part.name))
                })
                .collect();
            shown.push(format!("{name} agent={agent} {}", parts.join(" ")));
        }
        shown
    }

    pub(crate) fn is_there(&self, name: &NodeName) -> bool {
        name.as_str() == "node-4" || self.machines.specs().iter().any(|spec| spec.name == *name)
    }

    /// The files in a folder of a machine.
    pub(crate) fn names_in(&self, address: &str, folder: &str) -> Vec<String> {
        let within = format!("{folder}/");
        self.hosts.with(address, |system| {
            let inside = system.files.keys().filter_map(|path| path.strip_prefix(&within));
            inside.map(str::to_owned).collect()
        })
    }
}

/// A computer with a book of its own.
pub(crate) struct Computer {
    pub(crate) ports: Ports,
    pub(crate) description: Description,
    pub(crate) book: Arc<MemoryBook>,
    pub(crate) power: Power,
    pub(crate) heard: Heard,
    pub(crate) manner: Manner,
}

impl World {
    pub(crate) fn computer(&self, number: u64) -> Computer {
        self.computer_with(number, Cut::Never, Arc::default())
    }

    pub(crate) fn computer_with(&self, number: u64, cut: Cut, book: Arc<MemoryBook>) -> Computer {
        let power = Power::cut(cut);
        Computer {
            ports: self.ports(number, &power),
            description: described(FILE).unwrap(),
            book,
            power,
            heard: Heard::default(),
            manner: Manner {
                who: format!("ops@computer-{number}"),
                host_keys: HostKeys::AcceptNew,
                novelty: Novelty::Unsaid,
                patience: Duration::from_mins(10),
            },
        }
    }
}

impl Computer {
    pub(crate) fn powered_book(&self) -> Powered<dyn Book> {
        let book: Arc<dyn Book> = Arc::clone(&self.book) as _;
        Powered::new(&self.power, book)
    }

    pub(crate) async fn apply(&self) -> Result<State, Vec<Trouble>> {
        let book = self.powered_book();
        apply(&self.ports, &self.description, &book, &self.heard, &self.manner).await
    }

    pub(crate) async fn destroy(&self) -> Result<(), Vec<Trouble>> {
        let book = self.powered_book();
        let (ports, description) = (&self.ports, &self.description);
        bootstrapper::destroy(ports, description, &book, &self.heard, &self.manner).await
    }
}

/// Everything that was told.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Event>>);

impl Report for Heard {
    fn tell(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    pub(crate) fn sentences(&self) -> Vec<String> {
        let heard = self.0.lock().unwrap();
        let said = heard.iter().filter_map(|event| match event {
            Event::Says { sentence } => Some(sentence.clone()),
            Event::Begins { step, .. } => Some(step.clone()),
            Event::Ends { .. } | Event::Failed(_) => None,
        });
        said.collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct MemoryBook(Mutex<Option<State>>);

impl MemoryBook {
    pub(crate) fn of(state: State) -> Self {
        MemoryBook(Mutex::new(Some(state)))
    }
}

impl Book for MemoryBook {
    fn load(&self) -> Result<Option<State>, NotABook> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, state: &State) -> Result<(), NotABook> {
        *self.0.lock().unwrap() = Some(state.clone());
        Ok(())
    }

    fn erase(&self) -> Result<(), NotABook> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

/// Machines that have what a new one has.
#[derive(Debug)]
struct Furnished(World);

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

#[async_trait]
impl Machines for Furnished {
    fn lacks(&self, what: Ability) -> Option<&'static str> {
        self.0.machines.lacks(what)
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, machines::Error> {
        let found = self.0.machines.look(name).await?;
        let is_unknown = *self.0.fate.lock().unwrap() == Fate::Unknown;
        if found.is_none() && is_unknown {
            return Err(machines::Error::Unavailable("it does not answer".into()));
        }
        Ok(found)
    }

    async fn list(&self) -> Result<Vec<Machine>, machines::Error> {
        self.0.machines.list().await
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, machines::Error> {
        let made = self.0.machines.create(spec).await?;
        let now = self.0.clock.now().as_second();
        self.0.hosts.with(&made.entry.address, |system| {
            if !system.files.contains_key("/etc/os-release") {
                engine::bare(system, now);
            }
        });
        Ok(made)
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, machines::Error> {
        self.0.machines.start(name).await
    }

    async fn stop(&self, name: &NodeName) -> Result<(), machines::Error> {
        self.0.machines.stop(name).await
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, machines::Error> {
        self.0.machines.restart(name).await
    }

    async fn delete(&self, name: &NodeName) -> Result<(), machines::Error> {
        let spec = self.0.machines.specs().into_iter().find(|spec| spec.name == *name);
        self.0.machines.delete(name).await?;
        let is_back = *self.0.fate.lock().unwrap() == Fate::Back;
        if let (Some(spec), true) = (spec, is_back) {
            self.create(&spec).await?;
        }
        Ok(())
    }
}

/// Every image is there; an archive of some is their ids.
#[derive(Debug)]
struct ListedImages;

#[async_trait]
impl Images for ListedImages {
    async fn find(&self, name: &str) -> Result<Option<Digest>, images::Error> {
        if name == "/images/compressed.tar" {
            return Err(images::Error::Unavailable("it is compressed: gunzip it first".into()));
        }
        Ok((name != "missing").then(|| Digest::of(name.as_bytes())))
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, images::Error> {
        let ids: Vec<_> = images.iter().map(|id| Ok(Bytes::from(format!("{id}\n")))).collect();
        Ok(stream::iter(ids).boxed())
    }
}

/// Each computer makes another authority.
#[derive(Debug)]
struct NumberedAuthorities(u64);

impl Authorities for NumberedAuthorities {
    fn make(&self) -> Result<Papers, authority::Error> {
        let (certificate, key) = (format!("authority {}", self.0), format!("key {}", self.0));
        Ok(Papers { certificate, key })
    }

    fn open(&self, papers: &Papers) -> Result<Arc<dyn Authority>, authority::Error> {
        Ok(Arc::new(PlainAuthority(papers.certificate.clone())))
    }
}

#[derive(Debug)]
struct PlainAuthority(String);

impl Authority for PlainAuthority {
    fn certificate(&self) -> &str {
        &self.0
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, authority::Error> {
        let certificate = format!("{} says {service} {}", self.0, names.join(" "));
        Ok(Papers { key: format!("key of {certificate}"), certificate })
    }
}

#[derive(Debug)]
struct FilesOf(u64);

impl Files for FilesOf {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Cause> {
        if path == Path::new("/etc/machine-id") {
            return Ok(format!("computer {}\n", self.0).into_bytes());
        }
        Ok(format!("content of {}", path.display()).into_bytes())
    }
}
