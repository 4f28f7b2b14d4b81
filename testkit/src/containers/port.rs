//! The port of the simulated engine.

use std::future;

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::ContainerName;
use common::port::Containers;
use common::port::container::{Container, ContainerSpec, ContainerState};
use common::port::containers::{Error, Event, Follow, LineStream};
use common::port::disk::{Removed, StoredImage};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast::error::RecvError;

use super::engine::Effect;
use super::{Health, MemoryContainers};

/// Where built images are pushed to.
const REGISTRY: &str = "registry.example.org:5000";

/// The code of a process that ended because it was asked to.
const ENDED: i64 = 143;

impl MemoryContainers {
    /// Every call goes through here.
    async fn answer(&self) -> Result<(), Error> {
        let health = self.engine().health_of_call();
        match health {
            Health::Answers | Health::Full => Ok(()),
            Health::Down => Err(Error::Unavailable("connection refused".into())),
            Health::Silent => future::pending().await,
        }
    }
}

#[async_trait]
impl Containers for MemoryContainers {
    async fn ensure_running(&self, spec: &ContainerSpec, epoch: Epoch) -> Result<Container, Error> {
        self.answer().await?;
        let (container, effect) = self.engine().ensure_running(spec, epoch, self.clock.now())?;
        if effect == Effect::Started {
            self.tell(Event::Started(container.name.clone()));
        }
        Ok(container)
    }

    async fn stop(&self, name: &ContainerName) -> Result<(), Error> {
        self.answer().await?;
        self.exit(name, ENDED);
        Ok(())
    }

    async fn ensure_absent(&self, name: &ContainerName) -> Result<(), Error> {
        self.answer().await?;
        let removed = self.engine().containers.remove(name);
        if let Some(kept) = removed
            && matches!(kept.container.state, ContainerState::Running { .. })
        {
            self.tell(Event::Exited(name.clone()));
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Container>, Error> {
        self.answer().await?;
        Ok(self.containers())
    }

    async fn find(&self, name: &ContainerName) -> Result<Option<Container>, Error> {
        self.answer().await?;
        Ok(self.engine().containers.get(name).map(|kept| kept.container.clone()))
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>, Error> {
        self.answer().await?;
        let events = stream::unfold(self.events.subscribe(), |mut events| async move {
            match events.recv().await {
                Ok(event) => Some((event, events)),
                Err(RecvError::Lagged(_)) => Some((Event::Resync, events)),
                Err(RecvError::Closed) => None,
            }
        });
        Ok(events.boxed())
    }

    async fn build(&self, repository: &str, context: Bytes) -> Result<Digest, Error> {
        self.answer().await?;
        let mut engine = self.engine();
        if engine.is_full() {
            return Err(Error::Full("no space left on device".into()));
        }
        let digest = Digest::of(&context);
        engine.built.insert(repository.to_owned(), digest.clone());
        Ok(digest)
    }

    async fn push(&self, repository: &str) -> Result<ImageRef, Error> {
        self.answer().await?;
        let mut engine = self.engine();
        let refused = || Error::Refused(format!("no image was built as {repository}"));
        let digest = engine.built.get(repository).cloned().ok_or_else(refused)?;
        let image = ImageRef::new(&format!("{REGISTRY}/{repository}"), digest)
            .map_err(|err| Error::Refused(err.to_string()))?;
        engine.own(&image, self.clock.now());
        self.registry.offer_built(&image);
        Ok(image)
    }

    async fn pull(&self, image: &ImageRef) -> Result<(), Error> {
        self.answer().await?;
        let mut engine = self.engine();
        if engine.images.contains(image) {
            return Ok(());
        }
        if !self.registry.has(image) {
            let source = "manifest unknown".into();
            return Err(Error::ImageUnavailable { image: image.to_string(), source });
        }
        if engine.is_full() {
            return Err(Error::Full("no space left on device".into()));
        }
        if self.registry.is_built(image) {
            engine.own(image, self.clock.now());
        }
        engine.images.insert(image.clone());
        Ok(())
    }

    async fn has_image(&self, image: &ImageRef) -> Result<bool, Error> {
        self.answer().await?;
        Ok(self.engine().images.contains(image))
    }

    async fn stored_images(&self) -> Result<Vec<StoredImage>, Error> {
        self.answer().await?;
        Ok(self.engine().stored_images())
    }

    async fn remove_image(&self, id: &Digest) -> Result<Removed, Error> {
        self.answer().await?;
        Ok(self.engine().remove_image(id))
    }

    async fn logs(
        &self,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        self.answer().await?;
        let engine = self.engine();
        let kept = engine.containers.get(name).ok_or_else(|| Error::Absent(name.clone()))?;
        let from = kept.output.len().saturating_sub(tail);
        let lines: Vec<Bytes> =
            kept.output.iter().skip(from).map(|line| line.clone().into()).collect();
        let past = stream::iter(lines.into_iter().map(Ok));
        Ok(match follow {
            Follow::No => past.boxed(),
            Follow::Yes => past.chain(stream::pending()).boxed(),
        })
    }

    async fn process_id(&self, name: &ContainerName) -> Result<Option<u32>, Error> {
        self.answer().await?;
        let engine = self.engine();
        let kept = engine.containers.get(name).ok_or_else(|| Error::Absent(name.clone()))?;
        let runs = matches!(kept.container.state, ContainerState::Running { .. });
        Ok(runs.then_some(kept.process))
    }
}
