//! Machines in containers of this computer's engine, each with sshd and an engine of its own.
//!
//! Owns one network and the containers on it that carry its platform's name. What does not carry it is never
//! touched. A machine's host key is read through the engine, so that it can be pinned before anybody connects.

mod body;
mod failure;
mod found;
mod range;
mod resolvers;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RestartContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use common::name::NodeName;
use common::port::Machines;
use common::port::container::label;
use common::port::machines::{Ability, Error, LocalShape, Machine, MachineSpec, Power, Shape};
use tokio::time::{sleep, timeout};

use body::{MACHINES, OF, STOP_SECONDS};
use failure::{Doing, is_about_the_address, is_about_the_network, is_missing, said, unavailable};
use found::Found;
pub use range::{NotARange, Range};
pub use resolvers::resolvers_of_this_computer;

/// What the engine answers at once takes at most this long.
const QUICK: Duration = Duration::from_secs(15);
/// Starting, and removing with all that is on its disk.
const SLOW: Duration = Duration::from_mins(1);
/// Stopping gives what runs on it time to end.
const STOP: Duration = Duration::from_mins(1);
/// How long a machine that was started may take until it has a host key.
const BOOT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How often an address is given up that somebody else has, or a machine made again that vanishes.
const TRIES: usize = 16;

/// Where and how machines are made.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// The engine's Unix socket.
    pub socket: PathBuf,
    /// An image whose entry is a machine's init: sshd and an engine.
    pub image: String,
    /// The platform whose machines they are: part of names, `[a-z0-9-]` only.
    pub platform: String,
    /// The addresses of its network.
    pub range: Range,
    /// An address of the range that is no machine's: it moves between them.
    pub kept: Option<Ipv4Addr>,
    /// The name servers that containers on the machines ask.
    pub resolvers: Vec<IpAddr>,
}

impl LocalSettings {
    fn network(&self) -> String {
        format!("{}_machines", self.platform)
    }

    fn container(&self, name: &NodeName) -> String {
        format!("{}_machine_{name}", self.platform)
    }
}

/// Machines on this computer.
#[derive(Debug)]
pub struct LocalMachines {
    settings: LocalSettings,
    docker: Docker,
    /// Addresses are given one after another.
    making: tokio::sync::Mutex<()>,
}

impl LocalMachines {
    /// Fails while there is no socket.
    pub fn new(settings: LocalSettings) -> Result<Self, Error> {
        let socket = settings.socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, SLOW.as_secs() * 2, API_DEFAULT_VERSION);
        let docker = docker.map_err(unavailable)?;
        Ok(LocalMachines { settings, docker, making: tokio::sync::Mutex::default() })
    }

    async fn find(&self, name: &NodeName) -> Result<Option<Found>, Error> {
        found::find(&self.docker, &self.settings, name).await
    }

    /// The machine of ours of this name, which must be there.
    async fn known(&self, name: &NodeName) -> Result<Found, Error> {
        let found = self.find(name).await?.filter(|found| found.is_ours);
        found.ok_or_else(|| Error::NotFound(name.clone()))
    }

    /// Makes the container, unless it is there.
    async fn ensure_made(
        &self,
        spec: &MachineSpec,
        shape: LocalShape,
        shunned: &BTreeSet<Ipv4Addr>,
    ) -> Result<Found, Error> {
        let name = &spec.name;
        let in_use = |what: &str| Error::InUse { name: name.clone(), what: what.to_owned() };
        for _ in 0..TRIES {
            match self.find(name).await? {
                Some(found) if !found.is_ours => {
                    return Err(in_use("a container that is not the platform's has its name"));
                }
                Some(found) if found.spec != spec.hash() => {
                    return Err(in_use("a machine of its name and another specification exists"));
                }
                Some(found) => return Ok(found),
                None => {}
            }
            let address = self.address(spec, shape, shunned).await?;
            let socket = found::socket(&self.docker, &self.settings).await?;
            let body = body::create(spec, shape, address, &socket, &self.settings);
            let container = self.settings.container(name);
            let options = CreateContainerOptionsBuilder::new().name(&container).build();
            let doing = Doing { name, what: Ability::Create, limit: SLOW };
            let made = self.docker.create_container(Some(options), body);
            match doing.attempt(made).await? {
                Err(err) if is_about_the_network(&err) => self.ensure_network(name).await?,
                // Somebody was faster: what they made is looked at.
                Err(err) if matches!(said(&err), Some((409, _))) => {}
                Err(err) => return Err(doing.refused(err)),
                Ok(_) => {}
            }
        }
        Err(Error::Refused(format!("machine {name} does not stay")))
    }

    /// The wanted address, or the lowest that no machine has.
    async fn address(
        &self,
        spec: &MachineSpec,
        shape: LocalShape,
        shunned: &BTreeSet<Ipv4Addr>,
    ) -> Result<Ipv4Addr, Error> {
        let range = self.settings.range;
        let mut taken = found::addresses(&self.docker, &self.settings).await?;
        let name = spec.name.clone();
        if let Some(wanted) = shape.address {
            let what = match wanted {
                wanted if !range.admits(wanted) => format!("{wanted} is no address of {range}"),
                wanted if taken.contains(&wanted) => format!("{wanted} is another machine's"),
                wanted if self.settings.kept == Some(wanted) => {
                    format!("{wanted} moves between machines")
                }
                wanted => return Ok(wanted),
            };
            return Err(Error::InUse { name, what });
        }
        taken.extend(shunned);
        taken.extend(self.settings.kept);
        let what = format!("no address is left in {range}");
        range.free(&taken).ok_or(Error::Quota { name, what })
    }

    async fn ensure_network(&self, name: &NodeName) -> Result<(), Error> {
        // The engine gives it to nobody either.
        let kept = self.settings.kept.map(|kept| [("moves".to_owned(), kept.to_string())].into());
        let subnet = IpamConfig {
            subnet: Some(self.settings.range.to_string()),
            auxiliary_addresses: kept,
            ..IpamConfig::default()
        };
        let labels = [(label::PLATFORM, MACHINES), (OF, self.settings.platform.as_str())];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = NetworkCreateRequest {
            name: self.settings.network(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![subnet]), ..Ipam::default() }),
            labels: Some(HashMap::from(labels)),
            ..NetworkCreateRequest::default()
        };
        let doing = Doing { name, what: Ability::Create, limit: SLOW };
        let Err(err) = doing.attempt(self.docker.create_network(request)).await? else {
            return Ok(());
        };
        match said(&err) {
            Some((_, message)) if message.contains("already exists") => Ok(()),
            Some((_, message)) if message.contains("overlap") => {
                let what = format!("another network has addresses of {}", self.settings.range);
                Err(Error::InUse { name: name.clone(), what })
            }
            Some(_) | None => Err(doing.refused(err)),
        }
    }

    /// Whoever may sign in is put there before each start: what was cut off between making and starting is done now.
    async fn run(&self, spec: Option<&MachineSpec>, found: &Found) -> Result<Started, Error> {
        let name = &found.machine.name;
        let doing = Doing { name, what: Ability::Start, limit: SLOW };
        if let Some(spec) = spec
            && found.machine.power == Power::Stopped
        {
            let archive = body::authorized_keys(&spec.authorized_key)
                .map_err(|err| Error::Refused(err.to_string()))?;
            // The home folder of root, whom one signs in as.
            let options = UploadToContainerOptionsBuilder::new().path("/root").build();
            let archive = body_full(archive.into());
            doing.done(self.docker.upload_to_container(&found.id, Some(options), archive)).await?;
        }
        if found.is_paused {
            doing.done(self.docker.unpause_container(&found.id)).await?;
            return Ok(Started::Yes);
        }
        let start = || self.docker.start_container(&found.id, None::<StartContainerOptions>);
        match doing.attempt(start()).await? {
            Ok(()) => Ok(Started::Yes),
            Err(err) if is_about_the_network(&err) => {
                self.ensure_network(name).await?;
                doing.done(start()).await.map(|()| Started::Yes)
            }
            Err(err) if is_about_the_address(&err) => Ok(Started::AddressTaken),
            Err(err) => Err(doing.refused(err)),
        }
    }

    /// The machine as soon as it has a host key: it is made at the first start.
    async fn booted(&self, name: &NodeName, what: Ability) -> Result<Machine, Error> {
        let looking = async {
            loop {
                let found = self.known(name).await?;
                if found.machine.power == Power::Running && found.machine.host_key.is_some() {
                    return Ok(found.machine);
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        let late = Error::DeadlineExceeded { name: name.clone(), what, after: BOOT };
        timeout(BOOT, looking).await.unwrap_or(Err(late))
    }

    async fn remove(&self, id: &str, doing: &Doing<'_>) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match doing.attempt(self.docker.remove_container(id, Some(options))).await? {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) => Ok(()),
            Err(err) => Err(doing.refused(err)),
        }
    }

    async fn wake(&self, found: &Found, doing: &Doing<'_>) -> Result<(), Error> {
        // A paused container hears nobody who asks it to stop.
        if found.is_paused {
            doing.done(self.docker.unpause_container(&found.id)).await?;
        }
        Ok(())
    }

    async fn check_room(&self, spec: &MachineSpec, shape: LocalShape) -> Result<(), Error> {
        let doing = Doing { name: &spec.name, what: Ability::Create, limit: QUICK };
        let computer = doing.done(self.docker.info()).await?;
        let memory = computer.mem_total.and_then(|total| u64::try_from(total).ok());
        match memory {
            Some(total) if shape.memory_bytes > total => {
                let what = format!("this computer has {total} bytes of memory");
                Err(Error::Quota { name: spec.name.clone(), what })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a start did anything.
enum Started {
    Yes,
    /// Somebody else on the network has its address.
    AddressTaken,
}

#[async_trait]
impl Machines for LocalMachines {
    fn lacks(&self, _: Ability) -> Option<&'static str> {
        None
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        // What was cut off before its first start is no machine yet: making it goes on where that ended.
        let found = self.find(name).await?.filter(|found| found.is_ours && !found.is_half_made);
        Ok(found.map(|found| found.machine))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        let mut machines = Vec::new();
        for name in found::names(&self.docker, &self.settings).await? {
            let found = self.find(&name).await?.filter(|found| found.is_ours);
            machines.extend(found.map(|found| found.machine));
        }
        Ok(machines)
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        let Shape::Local(shape) = spec.shape else {
            let kind = spec.shape.kind();
            return Err(Error::Refused(format!("a machine that is {kind} is not made here")));
        };
        self.check_room(spec, shape).await?;
        let mut shunned = BTreeSet::new();
        for _ in 0..TRIES {
            let making = self.making.lock().await;
            let found = self.ensure_made(spec, shape, &shunned).await?;
            let started = match found.machine.power {
                Power::Running => Started::Yes,
                Power::Stopped | Power::Changing | Power::Unknown => {
                    self.run(Some(spec), &found).await?
                }
            };
            drop(making);
            match started {
                Started::Yes => return self.booted(&spec.name, Ability::Create).await,
                Started::AddressTaken => {
                    let doing = Doing { name: &spec.name, what: Ability::Create, limit: SLOW };
                    self.remove(&found.id, &doing).await?;
                    let what = "somebody else has its address".to_owned();
                    let taken = || Error::InUse { name: spec.name.clone(), what };
                    if shape.address.is_some() {
                        return Err(taken());
                    }
                    shunned.extend(found.address);
                }
            }
        }
        let what = format!("others have the addresses of {}", self.settings.range);
        Err(Error::InUse { name: spec.name.clone(), what })
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        let found = self.known(name).await?;
        match self.run(None, &found).await? {
            Started::Yes => self.booted(name, Ability::Start).await,
            Started::AddressTaken => {
                let what = "somebody else has its address".to_owned();
                Err(Error::InUse { name: name.clone(), what })
            }
        }
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        let found = self.known(name).await?;
        let doing = Doing { name, what: Ability::Stop, limit: STOP };
        self.wake(&found, &doing).await?;
        let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        doing.done(self.docker.stop_container(&found.id, Some(options))).await
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let found = self.known(name).await?;
        let doing = Doing { name, what: Ability::Restart, limit: STOP + SLOW };
        self.wake(&found, &doing).await?;
        let options = RestartContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        doing.done(self.docker.restart_container(&found.id, Some(options))).await?;
        self.booted(name, Ability::Restart).await
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        let doing = Doing { name, what: Ability::Delete, limit: SLOW };
        if let Some(found) = self.find(name).await?.filter(|found| found.is_ours) {
            self.remove(&found.id, &doing).await?;
        }
        let _making = self.making.lock().await;
        if found::names(&self.docker, &self.settings).await?.is_empty() {
            let network = self.settings.network();
            // Whether it was there, or somebody else is on it, is no matter: no machine needs it.
            drop(doing.attempt(self.docker.remove_network(&network)).await?);
        }
        Ok(())
    }
}
