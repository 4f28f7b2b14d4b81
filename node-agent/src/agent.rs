//! What callers may ask of the agent. Whatever changes something stands in the ledger first.

mod failure;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::reconcile::Wake;
use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::ContainerName;
use common::port::container::{Container, ContainerSpec, ContainerState};
use common::port::containers::{self, Follow, LineStream};
use common::port::nodes::{Issuer, Probe, Removal};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bundles::Bundles;
use crate::cleaning;
use crate::config::Config;
use crate::disk::{Holds, Pins};
use crate::domain::specification;
use crate::ledger::{Change, Conflict, Ledger, Noted};
use crate::locks::Locks;
use crate::look::Eyes;
use crate::meter::Latest;
use crate::ports::Ports;
use crate::replicas::{Replica, Replicas};
use crate::wall::Wall;

pub(crate) use failure::Error;

/// How many images are built at once. More would only slow one another, and the apps.
const BUILDS: usize = 1;

/// The agent of this machine.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) replicas: Replicas,
    pub(crate) wake: Wake<ContainerName>,
    pub(crate) wall: Wall,
    pub(crate) eyes: Eyes,
    pub(crate) samples: watch::Sender<Latest>,
    /// Images that must not go now.
    pub(crate) holds: Holds,
    pub(crate) pins: Pins,
    pub(crate) bundles: Bundles,
    /// Held while images and bundles are removed.
    pub(crate) collecting: Mutex<()>,
    /// Ends the streams that callers read, so that the process can stop.
    pub(crate) closing: CancellationToken,
    locks: Locks<ContainerName>,
    builds: Semaphore,
    started: Instant,
}

impl Agent {
    pub(crate) fn open(ports: Ports, config: Config) -> io::Result<Self> {
        let ledger = Arc::new(Ledger::open(&config.data_folder)?);
        let wall = Wall::new(Arc::clone(&ports.firewall), config.firewall.clone());
        let eyes = Eyes::new(config.ip, config.proc_folder.clone()).map_err(io::Error::other)?;
        let pins = Pins::open(&config.data_folder);
        let shelf = (Arc::clone(&ports.blobs), Arc::clone(&ports.clock));
        let bundles = Bundles::open(shelf, &config)?;
        Ok(Agent {
            ports,
            config,
            ledger,
            holds: Holds::default(),
            pins,
            bundles,
            collecting: Mutex::default(),
            replicas: Replicas::default(),
            wake: Wake::new(),
            wall,
            eyes,
            samples: watch::Sender::default(),
            closing: CancellationToken::new(),
            locks: Locks::default(),
            builds: Semaphore::new(BUILDS),
            started: Instant::now(),
        })
    }

    /// Monotonic time since the agent's start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Makes a container run as specified; pulls its image if it is missing.
    pub(crate) async fn ensure(
        &self,
        issuer: Issuer,
        spec: &ContainerSpec,
    ) -> Result<Container, Error> {
        if let Some((field, rule)) = specification::problem(spec) {
            return Err(Error::Specification { field, rule });
        }
        let name = spec.name();
        let _lock = self.locks.lock(&name).await;
        let noted = self.ledger.change(|entries| entries.note(issuer, spec)).await?;
        // If the caller goes away now, the keeper goes on.
        self.wake.wake(name.clone());
        let before = match noted {
            Noted::New { before } => before,
            Noted::Same => {
                let found = self.look(&name).await?;
                let same = found.filter(|found| found.container.spec_hash == spec.hash());
                if let Some(found) = same.filter(|found| was_started(&found.container)) {
                    return Ok(found.container);
                }
                None
            }
        };
        match self.make_run(spec, issuer.epoch).await {
            Ok(container) => {
                self.replicas.see(&name, Some(container.clone()), self.now());
                Ok(container)
            }
            // Nobody knows what happened: it stays wanted until someone says otherwise.
            Err(err @ containers::Error::Unavailable(_)) => Err(Error::Start(err)),
            Err(err) => {
                let take_back =
                    self.ledger.change(|entries| Ok(((), entries.take_back(spec, before))));
                take_back.await?;
                Err(Error::Start(err))
            }
        }
    }

    /// Where the disk is full, what nobody refers to goes first. The image itself stays meanwhile.
    pub(crate) async fn make_run(
        &self,
        spec: &ContainerSpec,
        epoch: Epoch,
    ) -> Result<Container, containers::Error> {
        let _hold = self.holds.hold(spec.image.digest()).await;
        match self.fetch_and_start(spec, epoch).await {
            Err(containers::Error::Full(_)) if cleaning::make_room(self).await => {
                self.fetch_and_start(spec, epoch).await
            }
            made => made,
        }
    }

    /// The image is usually there, so it is fetched only when the engine misses it.
    async fn fetch_and_start(
        &self,
        spec: &ContainerSpec,
        epoch: Epoch,
    ) -> Result<Container, containers::Error> {
        self.wall.must_stand().await?;
        let containers = &self.ports.containers;
        match containers.ensure_running(spec, epoch).await {
            Err(containers::Error::ImageUnavailable { .. }) => {
                containers.pull(&spec.image).await?;
                // A pull may take minutes.
                self.wall.must_stand().await?;
                containers.ensure_running(spec, epoch).await
            }
            made => made,
        }
    }

    /// Makes sure a container is gone; a newer one of the same name stays.
    pub(crate) async fn remove(&self, issuer: Issuer, removal: &Removal) -> Result<(), Error> {
        let name = &removal.name;
        let _lock = self.locks.lock(name).await;
        self.ledger.change(|entries| entries.forget(issuer, removal)).await?;
        let found = self.look(name).await?;
        let newer = |found: &Replica| found.container.generation > removal.generation;
        if self.ledger.entry(name).is_some() || found.as_ref().is_some_and(newer) {
            return Ok(());
        }
        self.ports.containers.ensure_absent(name).await.map_err(Error::Engine)?;
        self.replicas.see(name, None, self.now());
        Ok(())
    }

    /// All containers of ours, also those the ledger does not know; and those that it knows and that are not there.
    pub(crate) async fn list(&self) -> Result<Vec<Container>, Error> {
        let mut containers = self.ports.containers.list().await.map_err(Error::Engine)?;
        self.replicas.see_all(containers.clone(), self.now());
        let ledger = self.ledger.read();
        let is_there = |spec: &ContainerSpec| {
            let name = spec.name();
            containers.iter().any(|container| container.name == name)
        };
        let told = ledger.containers().all().filter(|told| !is_there(&told.spec));
        let told: Vec<_> = told.map(|told| Container::not_made(&told.spec, told.epoch)).collect();
        containers.extend(told);
        Ok(containers)
    }

    /// Whether a build may begin: before its archive is read.
    pub(crate) async fn admit_build(&self, issuer: Issuer, repository: &str) -> Result<(), Error> {
        let named = ImageRef::new(repository, Digest::of(b""));
        if named.is_err() || repository.contains(':') {
            let rule = "a repository is of a-z, 0-9, . _ - and /, without a registry";
            return Err(Error::Specification { field: "repository", rule });
        }
        self.announce(issuer).await
    }

    /// Builds an image and pushes it. Its steps run what strangers wrote, as an app does.
    pub(crate) async fn build(&self, repository: &str, context: Bytes) -> Result<ImageRef, Error> {
        let _turn = self.builds.acquire().await;
        self.wall.must_stand().await.map_err(Error::Build)?;
        let containers = &self.ports.containers;
        match containers.build(repository, context.clone()).await {
            Err(containers::Error::Full(_)) if cleaning::make_room(self).await => {
                containers.build(repository, context).await.map(drop)
            }
            built => built.map(drop),
        }
        .map_err(Error::Build)?;
        let image = containers.push(repository).await.map_err(Error::Build)?;
        self.holds.touch(image.digest());
        Ok(image)
    }

    pub(crate) async fn pull(&self, issuer: Issuer, image: &ImageRef) -> Result<(), Error> {
        self.announce(issuer).await?;
        let _hold = self.holds.hold(image.digest()).await;
        match self.ports.containers.pull(image).await {
            Err(containers::Error::Full(_)) if cleaning::make_room(self).await => {
                self.ports.containers.pull(image).await
            }
            pulled => pulled,
        }
        .map_err(Error::Engine)
    }

    /// Takes note of who leads.
    pub(crate) async fn announce(&self, issuer: Issuer) -> Result<(), Error> {
        let heard = |change: Change| ((), change);
        Ok(self.ledger.change(|entries| entries.hear(issuer).map(heard)).await?)
    }

    /// Looks at a container and at its port.
    pub(crate) async fn probe(&self, name: &ContainerName) -> Result<Probe, Error> {
        // That nothing listens yet may rest on what was said just now. That all is well may not: where the process has ended
        // meanwhile, the engine's own door to the port is open until the engine takes it down.
        if let Some(replica) = self.replicas.runs_just_now(name, self.now()) {
            let seen = self.see_port(&replica).await.map_err(Error::Engine)?;
            if seen != Probe::Healthy {
                return Ok(self.judged(&replica, seen));
            }
        }
        let Some(replica) = self.look(name).await? else { return Ok(Probe::Absent) };
        if let ContainerState::Exited { code, out_of_memory, .. } = replica.container.state {
            let crash_loop = replica.history.is_loop(self.now());
            return Ok(Probe::Exited { code, out_of_memory, crash_loop });
        }
        let seen = self.see_port(&replica).await.map_err(Error::Engine)?;
        Ok(self.judged(&replica, seen))
    }

    /// What a look at the port of a running container says of it.
    fn judged(&self, replica: &Replica, seen: Probe) -> Probe {
        self.replicas.looked(replica, seen == Probe::Healthy);
        let crash_loop = replica.history.is_loop(self.now());
        match replica.history.last_exit() {
            // Between two ends it runs for a moment: that is no answer to whether it will.
            Some(exit) if crash_loop && seen != Probe::Healthy => {
                let (code, out_of_memory) = (exit.code, exit.out_of_memory);
                Probe::Exited { code, out_of_memory, crash_loop }
            }
            Some(_) | None => seen,
        }
    }

    /// Looks at the port of a running container.
    pub(crate) async fn see_port(&self, replica: &Replica) -> Result<Probe, containers::Error> {
        let name = &replica.container.name;
        let told = self.ledger.entry(name).map(|entry| entry.spec);
        let told = told.filter(|spec| spec.hash() == replica.container.spec_hash);
        let process = match replica.process {
            Some(process) => Some(process),
            None => self.ports.containers.process_id(name).await?,
        };
        self.replicas.runs_as(replica, process);
        Ok(self.eyes.look(replica.container.host_port, told.as_ref(), process).await)
    }

    pub(crate) async fn logs(
        &self,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        self.ports.containers.logs(name, tail, follow).await.map_err(Error::Engine)
    }

    /// Looks at one container, and remembers what it saw.
    pub(crate) async fn look(&self, name: &ContainerName) -> Result<Option<Replica>, Error> {
        let found = self.ports.containers.find(name).await.map_err(Error::Engine)?;
        Ok(self.replicas.see(name, found, self.now()))
    }

    /// Whoever changes a container holds its name.
    pub(crate) async fn hold(&self, name: &ContainerName) -> impl Drop + use<> {
        self.locks.lock(name).await
    }
}

fn was_started(container: &Container) -> bool {
    !matches!(container.state, ContainerState::Created)
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Error::Conflict(conflict)
    }
}
