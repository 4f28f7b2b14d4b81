//! Parts of the platform itself on this machine: what their issuer may ask of the agent. Whatever changes something
//! stands in the ledger first. Never decides which parts there should be, and touches no app.

mod code;
mod consent;
mod health;
mod keeper;
mod pauses;
mod place;
mod standing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use chassis::reconcile::Wake;
use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::{NodeName, PartName, ShareName};
use common::port::container::ContainerState;
use common::port::containers;
use common::port::host::ChunkStream;
use common::port::nodes::Issuer;
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::share::{Access, Code};
use common::port::{PartContainers, Shares};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::agent::Error;
use crate::config::Config;
use crate::domain::part_specification;
use crate::ledger::{Change, Ledger, Noted};
use crate::locks::Locks;
use crate::ports::Neighbours;
pub(crate) use code::Error as CodeError;

use code::Builder;
use consent::Said;
use pauses::Pauses;
use place::Place;
use standing::{Standing, Stood};

/// How many images are pushed at once: each under the same moving tag of its repository.
const PUSHES: usize = 1;
/// More than this of the past is not read.
const MOST_LINES: usize = 1_000;

/// The parts of this machine.
#[derive(Debug)]
pub(crate) struct Parts {
    engine: Arc<dyn PartContainers>,
    ledger: Arc<Ledger>,
    builder: Builder,
    pauses: Pauses,
    place: Place,
    standing: Standing,
    node: NodeName,
    neighbours: Arc<dyn Neighbours>,
    said: Said,
    wake: Wake<PartName>,
    locks: Locks<PartName>,
    pushes: Semaphore,
    started: Instant,
}

impl Parts {
    pub(crate) fn new(
        engine: Arc<dyn PartContainers>,
        shares: Arc<dyn Shares>,
        neighbours: Arc<dyn Neighbours>,
        ledger: Arc<Ledger>,
        config: &Config,
    ) -> Self {
        Parts {
            builder: Builder::new(Arc::clone(&engine), shares),
            pauses: Pauses::default(),
            engine,
            ledger,
            place: Place::new(&config.data_folder, config.machines_socket.clone()),
            standing: Standing::default(),
            node: config.node.clone(),
            neighbours,
            said: Said::open(&config.data_folder),
            wake: Wake::new(),
            locks: Locks::default(),
            pushes: Semaphore::new(PUSHES),
            started: Instant::now(),
        }
    }

    /// Monotonic time since the agent's start.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Makes a part run as specified; fetches or builds its image if it is missing.
    pub(crate) async fn ensure(&self, issuer: Issuer, spec: &PartSpec) -> Result<Part, Error> {
        if let Some((field, rule)) = part_specification::problem(spec) {
            return Err(Error::Specification { field, rule });
        }
        let name = &spec.name;
        let _lock = self.locks.lock(name).await;
        let noted = self.ledger.change(|entries| entries.note_part(issuer, spec)).await?;
        // If the caller goes away now, the keeper goes on.
        self.pauses.end(name);
        self.wake.wake(name.clone());
        let before = match noted {
            Noted::New { before } => before,
            Noted::Same => {
                let found = self.look(name).await?;
                let same = found.filter(|found| found.part.spec_hash == spec.hash());
                if let Some(found) = same.filter(was_started) {
                    return Ok(found.told());
                }
                None
            }
        };
        match self.make_run(spec, issuer.epoch).await {
            Ok(part) => Ok(part),
            // Nobody knows what happened: it stays wanted until someone says otherwise.
            Err(err) if err.is_unclear() => Err(err),
            Err(err) => {
                let take_back =
                    self.ledger.change(|entries| Ok(((), entries.take_back_part(spec, before))));
                take_back.await?;
                // What it took the place of comes back.
                self.wake.wake(name.clone());
                Err(err)
            }
        }
    }

    /// What has to be built is built first: a build may fail, and leaves nothing then.
    async fn make_run(&self, spec: &PartSpec, epoch: Epoch) -> Result<Part, Error> {
        if let PartImage::Built(code) = &spec.image {
            self.builder.ensure(code).await.map_err(Error::Code)?;
        }
        let made = self.put_and_start(spec, epoch).await.map_err(Error::Engine)?;
        self.pauses.end(&spec.name);
        self.place.keep_only(spec).await;
        let seen = self.standing.see(&spec.name, Some(made.clone()), self.now());
        Ok(seen.map_or(made, |seen| seen.told()))
    }

    /// Files and folders first; the image is fetched only when the engine misses it.
    async fn put_and_start(
        &self,
        spec: &PartSpec,
        epoch: Epoch,
    ) -> Result<Part, containers::Error> {
        let site = self.place.prepare(spec).await?;
        match self.engine.ensure_part_running(spec, epoch, &site).await {
            Err(containers::Error::ImageUnavailable { .. }) => {
                self.engine.fetch_image(&spec.image).await?;
                self.engine.ensure_part_running(spec, epoch, &site).await
            }
            made => made,
        }
    }

    /// Makes sure a part is gone; a newer one of the same name stays.
    pub(crate) async fn remove(&self, issuer: Issuer, removal: &PartRemoval) -> Result<(), Error> {
        let name = &removal.name;
        let _lock = self.locks.lock(name).await;
        self.ledger.change(|entries| entries.forget_part(issuer, removal)).await?;
        let found = self.look(name).await?;
        let newer = |found: &Stood| found.part.generation > removal.generation;
        if self.ledger.part(name).is_some() || found.as_ref().is_some_and(newer) {
            return Ok(());
        }
        self.engine.ensure_part_absent(name).await.map_err(Error::Engine)?;
        self.standing.see(name, None, self.now());
        self.pauses.end(name);
        self.place.clear(name, removal.data).await.map_err(Error::Engine)
    }

    /// Ends a part's process and starts it again, as it was told last.
    pub(crate) async fn restart(&self, issuer: Issuer, name: &PartName) -> Result<Part, Error> {
        let _lock = self.locks.lock(name).await;
        self.hear(issuer).await?;
        let told = self.ledger.part(name).ok_or_else(|| Error::UnknownPart(name.clone()))?;
        self.engine.end_part(name).await.map_err(Error::Engine)?;
        let part = self.make_run(&told.spec, told.epoch).await?;
        self.standing.restarted(name);
        Ok(Part { restarts: part.restarts + 1, ..part })
    }

    /// All parts there are, also those the ledger does not know.
    pub(crate) async fn list(&self) -> Result<Vec<Part>, Error> {
        let parts = self.engine.list_parts().await.map_err(Error::Engine)?;
        Ok(self.standing.see_all(parts, self.now()).iter().map(Stood::told).collect())
    }

    pub(crate) async fn logs(&self, name: &PartName, tail: usize) -> Result<Vec<String>, Error> {
        let output = self.engine.part_output(name, tail.min(MOST_LINES)).await;
        output.map_err(Error::Engine)?.ok_or_else(|| Error::UnknownPart(name.clone()))
    }

    pub(crate) async fn images(&self) -> Result<Vec<ImageRef>, Error> {
        self.engine.registry_images().await.map_err(Error::Engine)
    }

    pub(crate) async fn image_archive(&self, image: &Digest) -> Result<ChunkStream, Error> {
        self.engine.image_archive(image).await.map_err(Error::Engine)
    }

    pub(crate) async fn push_image(
        &self,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let named = ImageRef::new(repository, Digest::of(b""));
        if named.is_err() || repository.contains(':') {
            let rule = "a repository is of a-z, 0-9, . _ - and /, without a registry";
            return Err(Error::Specification { field: "repository", rule });
        }
        self.hear(issuer).await?;
        let _turn = self.pushes.acquire().await;
        self.engine.push_image_as(image, repository).await.map_err(Error::Engine)
    }

    /// Takes note of where the registry is.
    pub(crate) async fn registry_at(
        &self,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error> {
        let told = |entries: &mut crate::ledger::Entries| entries.set_registry(issuer, registry);
        Ok(self.ledger.change(told).await?)
    }

    /// Makes the image of code present, for parts that may be told to run it.
    pub(crate) async fn build(&self, issuer: Issuer, code: &Code) -> Result<(), Error> {
        self.hear(issuer).await?;
        self.builder.ensure(code).await.map_err(Error::Code)
    }

    /// Takes note of what a share is and what opens it.
    pub(crate) async fn share_is(
        &self,
        issuer: Issuer,
        name: &ShareName,
        access: &Access,
    ) -> Result<(), Error> {
        self.hear(issuer).await?;
        self.builder.keep(name, access).await.map_err(Error::Code)
    }

    async fn hear(&self, issuer: Issuer) -> Result<(), Error> {
        let heard = |change: Change| ((), change);
        Ok(self.ledger.change(|entries| entries.hear(issuer).map(heard)).await?)
    }

    /// Looks at one part, and remembers what it saw.
    async fn look(&self, name: &PartName) -> Result<Option<Stood>, Error> {
        let found = self.engine.find_part(name).await.map_err(Error::Engine)?;
        Ok(self.standing.see(name, found, self.now()))
    }

    /// Keeps parts running and looks at them, until the process stops.
    pub(crate) async fn run(self: &Arc<Self>, config: &Config, lifecycle: &Lifecycle) {
        futures::join!(
            keeper::run(self, lifecycle),
            health::watch(self, config, lifecycle),
            health::end_silent(self, config, lifecycle),
        );
    }
}

fn was_started(found: &Stood) -> bool {
    !matches!(found.part.state, ContainerState::Created)
}

#[cfg(test)]
mod tests;
