//! The port of the simulated engine.

use std::future;

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::PartName;
use common::port::PartContainers;
use common::port::container::ContainerState;
use common::port::containers::Error;
use common::port::host::ChunkStream;
use common::port::part::{Part, PartImage, PartSpec};
use common::port::part_containers::{PartEvent, PartSite};
use common::port::share::Code;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::broadcast::error::RecvError;

use super::MemoryPartContainers;
use super::engine::Effect;
use crate::containers::Health;

/// How every machine calls the registry.
const REGISTRY: &str = "127.0.0.1:5000";

impl MemoryPartContainers {
    /// Every call goes through here.
    async fn answer(&self) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let health = self.engine().health;
        match health {
            Health::Answers | Health::Full => Ok(()),
            Health::Down => Err(Error::Unavailable("connection refused".into())),
            Health::Silent => future::pending().await,
        }
    }
}

#[async_trait]
impl PartContainers for MemoryPartContainers {
    async fn ensure_part_running(
        &self,
        spec: &PartSpec,
        epoch: Epoch,
        site: &PartSite,
    ) -> Result<Part, Error> {
        self.answer().await?;
        let now = self.clock.now();
        let (part, effect) = self.engine().ensure_running(spec, epoch, site, now)?;
        if effect == Effect::Started {
            self.tell(PartEvent::Changed(part.name.clone()));
        }
        Ok(part)
    }

    async fn end_part(&self, name: &PartName) -> Result<(), Error> {
        self.answer().await?;
        self.engine().find(name)?;
        if self.engine().unended.remove(name) {
            return Err(Error::Unavailable("it does not end in time".into()));
        }
        let at = self.clock.now();
        let end = ContainerState::Exited { code: 143, out_of_memory: false, at };
        if self.engine().exit(name, end) {
            self.tell(PartEvent::Changed(name.clone()));
        }
        Ok(())
    }

    async fn ensure_part_absent(&self, name: &PartName) -> Result<(), Error> {
        self.answer().await?;
        self.engine().find(name)?;
        if self.engine().kept.remove(name).is_some() {
            self.tell(PartEvent::Changed(name.clone()));
        }
        Ok(())
    }

    async fn list_parts(&self) -> Result<Vec<Part>, Error> {
        self.answer().await?;
        Ok(self.parts())
    }

    async fn find_part(&self, name: &PartName) -> Result<Option<Part>, Error> {
        self.answer().await?;
        Ok(self.engine().find(name)?.map(|kept| kept.part.clone()))
    }

    async fn part_events(&self) -> Result<BoxStream<'static, PartEvent>, Error> {
        self.answer().await?;
        let events = stream::unfold(self.events.subscribe(), |mut events| async move {
            match events.recv().await {
                Ok(event) => Some((event, events)),
                Err(RecvError::Lagged(_)) => Some((PartEvent::Resync, events)),
                Err(RecvError::Closed) => None,
            }
        });
        Ok(events.boxed())
    }

    async fn part_output(
        &self,
        name: &PartName,
        tail: usize,
    ) -> Result<Option<Vec<String>>, Error> {
        self.answer().await?;
        let engine = self.engine();
        let Some(kept) = engine.find(name)? else { return Ok(None) };
        let from = kept.output.len().saturating_sub(tail);
        Ok(Some(kept.output.iter().skip(from).cloned().collect()))
    }

    async fn registry_images(&self) -> Result<Vec<ImageRef>, Error> {
        self.answer().await?;
        Ok(self.engine().named.iter().cloned().collect())
    }

    async fn fetch_image(&self, image: &PartImage) -> Result<(), Error> {
        self.answer().await?;
        let mut engine = self.engine();
        let missing = match (engine.must_have(image), image) {
            (Ok(()), _) => return Ok(()),
            (Err(missing), PartImage::Id(_) | PartImage::Built(_)) => return Err(missing),
            (Err(_), PartImage::Named(named)) => named,
        };
        if !self.registry.has(missing) {
            let source = "manifest unknown".into();
            return Err(Error::ImageUnavailable { image: missing.to_string(), source });
        }
        if engine.health == Health::Full {
            return Err(Error::Full("no space left on device".into()));
        }
        engine.place(image);
        Ok(())
    }

    async fn build_image(&self, code: &Code, context: Bytes) -> Result<(), Error> {
        self.answer().await?;
        self.engine().build(code, &context)
    }

    async fn image_archive(&self, image: &Digest) -> Result<ChunkStream, Error> {
        self.answer().await?;
        self.engine().must_have(&PartImage::Id(image.clone()))?;
        let archive = format!("archive of {image}").into();
        Ok(stream::iter([Ok(archive)]).boxed())
    }

    async fn push_image_as(&self, image: &PartImage, repository: &str) -> Result<ImageRef, Error> {
        self.answer().await?;
        let mut engine = self.engine();
        engine.must_have(image)?;
        let digest = match (engine.pushing(image)?, image) {
            (Some(packed_as), _) => packed_as,
            (None, PartImage::Id(id)) => id,
            (None, PartImage::Named(named)) => named.digest(),
            (None, PartImage::Built(code)) => &code.digest,
        };
        let pushed = ImageRef::new(&format!("{REGISTRY}/{repository}"), digest.clone())
            .map_err(|err| Error::Refused(err.to_string()))?;
        engine.named.insert(pushed.clone());
        self.registry.offer(&pushed);
        Ok(pushed)
    }
}
