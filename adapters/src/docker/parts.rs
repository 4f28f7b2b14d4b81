//! Parts of the platform on this machine's engine: [`PartContainers`].
//!
//! Owns how a part's specification becomes a container, and which containers are parts: those with the labels and a
//! name of the form `avishkar-part-<name>`. Never touches anything else, apps included.

mod body;
mod code;
mod found;
mod images;

use std::collections::HashMap;
use std::io;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptions,
};
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::PartName;
use common::port::PartContainers;
use common::port::container::{ContainerState, label};
use common::port::containers::Error;
use common::port::host::ChunkStream;
use common::port::part::{Part, PartImage, PartSpec};
use common::port::part_containers::{PartEvent, PartSite};
use common::port::share::Code;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Duration, Instant};

use super::failure::{attempt, classify, is_missing, is_so_already, said, within};
use super::{DockerContainers, Engine, QUICK, START, events};
use body::{PART, container_name};
use found::Found;

/// How often a container is made again that vanishes, or whose name is taken, under our hands.
const TRIES: usize = 3;
/// A longer line of output is cut.
const LINE_BYTES: usize = 16 * 1024;

#[async_trait]
impl PartContainers for DockerContainers {
    async fn ensure_part_running(
        &self,
        spec: &PartSpec,
        epoch: Epoch,
        site: &PartSite,
    ) -> Result<Part, Error> {
        self.engine()?.make_part_run(spec, epoch, site).await
    }

    async fn end_part(&self, name: &PartName) -> Result<(), Error> {
        let engine = self.engine()?;
        match engine.part(name).await? {
            Some(found) => engine.stop(&found).await,
            None => Ok(()),
        }
    }

    async fn ensure_part_absent(&self, name: &PartName) -> Result<(), Error> {
        let engine = self.engine()?;
        match engine.part(name).await? {
            Some(found) => engine.remove_part(&found).await,
            None => Ok(()),
        }
    }

    async fn list_parts(&self) -> Result<Vec<Part>, Error> {
        self.engine()?.parts().await
    }

    async fn find_part(&self, name: &PartName) -> Result<Option<Part>, Error> {
        Ok(self.engine()?.part(name).await?.map(|found| found.part))
    }

    async fn part_events(&self) -> Result<BoxStream<'static, PartEvent>, Error> {
        let engine = self.engine()?;
        within(QUICK, engine.docker.ping()).await?;
        let source = events::Source { kind: PART, read: read_event, resync: || PartEvent::Resync };
        Ok(events::stream(engine.docker.clone(), source))
    }

    async fn part_output(
        &self,
        name: &PartName,
        tail: usize,
    ) -> Result<Option<Vec<String>>, Error> {
        let engine = self.engine()?;
        let Some(found) = engine.part(name).await? else { return Ok(None) };
        let options =
            LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&tail.to_string()).build();
        let lines = engine.docker.logs(&found.id, Some(options)).map_ok(text);
        Ok(Some(within(START, lines.try_collect()).await?))
    }

    async fn registry_images(&self) -> Result<Vec<ImageRef>, Error> {
        self.engine()?.images_of_registry().await
    }

    async fn fetch_image(&self, image: &PartImage) -> Result<(), Error> {
        self.engine()?.fetch(image).await
    }

    async fn build_image(&self, code: &Code, context: Bytes) -> Result<(), Error> {
        self.engine()?.build_code(code, context).await
    }

    async fn image_archive(&self, image: &Digest) -> Result<ChunkStream, Error> {
        let engine = self.engine()?;
        engine.known_as(&PartImage::Id(image.clone())).await?;
        let names = [image.as_str()];
        Ok(engine.docker.export_images(&names).map_err(io::Error::other).boxed())
    }

    async fn push_image_as(&self, image: &PartImage, repository: &str) -> Result<ImageRef, Error> {
        self.engine()?.push_as(image, repository).await
    }
}

fn read_event(attributes: &HashMap<String, String>, _: &str) -> Option<PartEvent> {
    let name = attributes.get(label::PART)?.parse().ok()?;
    Some(PartEvent::Changed(name))
}

fn text(line: LogOutput) -> String {
    let bytes = line.into_bytes();
    let shown = bytes.get(..bytes.len().min(LINE_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(shown).trim_end_matches(['\r', '\n']).to_owned()
}

impl Engine {
    async fn make_part_run(
        &self,
        spec: &PartSpec,
        epoch: Epoch,
        site: &PartSite,
    ) -> Result<Part, Error> {
        // What stands in the way is only stopped once there is something to take its place.
        let image = self.known_as(&spec.image).await?;
        for _ in 0..TRIES {
            let id = match self.part(&spec.name).await? {
                Some(found) if found.part.spec_hash != spec.hash() => {
                    self.remove_part(&found).await?;
                    continue;
                }
                Some(found) => match found.part.state {
                    ContainerState::Running { .. } => return Ok(found.part),
                    ContainerState::Created | ContainerState::Exited { .. } => found.id,
                },
                None => match self.create_part(spec, epoch, site, &image).await? {
                    Some(id) => id,
                    None => continue,
                },
            };
            let start = self.docker.start_container(&id, None::<StartContainerOptions>);
            if let Err(err) = attempt(START, start).await?
                && !is_so_already(&err)
            {
                self.force_removal(&id).await?;
                if is_missing(&err) {
                    continue;
                }
                return Err(classify(err));
            }
            if let Some(found) = self.part(&spec.name).await? {
                return Ok(found.part);
            }
        }
        Err(Error::Refused(format!("the container of {} does not stay", spec.name)))
    }

    /// None if the name was taken meanwhile.
    async fn create_part(
        &self,
        spec: &PartSpec,
        epoch: Epoch,
        site: &PartSite,
        image: &str,
    ) -> Result<Option<String>, Error> {
        let name = container_name(&spec.name);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let body = body::create(spec, epoch, site, image);
        let made = self.docker.create_container(Some(options), body);
        match attempt(START, made).await? {
            Ok(made) => Ok(Some(made.id)),
            Err(err) if matches!(said(&err), Some((409, _))) => Ok(None),
            Err(err) => Err(classify(err)),
        }
    }

    /// Without a time of ours the engine takes the one of the container's own specification.
    async fn stop(&self, found: &Found) -> Result<(), Error> {
        let limit = START + found.stop_within;
        let stop = self.docker.stop_container(&found.id, None::<StopContainerOptions>);
        match attempt(limit, stop).await? {
            Ok(()) => Ok(()),
            Err(err) if is_missing(&err) || is_so_already(&err) => Ok(()),
            Err(err) => Err(classify(err)),
        }
    }

    async fn remove_part(&self, found: &Found) -> Result<(), Error> {
        match self.stop(found).await {
            // One that was never started, or that the engine cannot stop, is removed by force.
            Ok(()) | Err(Error::Refused(_)) => self.force_removal(&found.id).await,
            Err(err) => Err(err),
        }
    }

    /// Returns when it is gone, whoever removes it.
    async fn force_removal(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let until = Instant::now() + START;
        loop {
            let removal = self.docker.remove_container(id, Some(options.clone()));
            match attempt(START, removal).await? {
                Ok(()) => return Ok(()),
                Err(err) if is_missing(&err) => return Ok(()),
                Err(err) if matches!(said(&err), Some((409, _))) && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(err) => return Err(classify(err)),
            }
        }
    }
}
