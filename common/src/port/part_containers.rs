//! A machine's own container engine, as the node agent sees it for parts of the platform itself.
//!
//! Beside [`super::Containers`], which is for apps: neither sees what the other made.

use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use super::containers::Error;
use super::host::ChunkStream;
use super::part::{Part, PartImage, PartSpec};
use super::share;
use crate::digest::{Digest, ImageRef};
use crate::id::Epoch;
use crate::name::PartName;

/// Where a part lives: what its specification leaves to the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartSite {
    pub mounts: Vec<PartMount>,
    /// Groups of the machine that its process belongs to besides its user's own.
    pub groups: Vec<u32>,
}

/// Something of the machine that a part sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartMount {
    pub from: MountSource,
    /// Absolute, inside the container.
    pub path: String,
    pub read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A file, folder or socket of the machine, which is there.
    Path(PathBuf),
    /// A small folder in memory that parts share by its name; made where it is missing, for the part's user.
    Memory(PartName),
}

/// Something happened to a part's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartEvent {
    /// It was started or ended.
    Changed(PartName),
    /// The stream was rebuilt: list all again.
    Resync,
}

/// Makes containers of parts be there or not be there. Every method may be repeated. A [`Part`] that it gives says
/// nothing of health and restarts: the engine knows neither.
#[async_trait]
pub trait PartContainers: Debug + Send + Sync {
    /// Makes a container of this specification run; one of the same name and another specification hash is
    /// stopped and replaced, once the image is known to be present.
    async fn ensure_part_running(
        &self,
        spec: &PartSpec,
        epoch: Epoch,
        site: &PartSite,
    ) -> Result<Part, Error>;

    /// Ends the process of a part's container, if it runs; the container stays.
    async fn end_part(&self, name: &PartName) -> Result<(), Error>;

    /// Makes sure no container of this part is there: stops it, as long as its specification allows, and removes it.
    async fn ensure_part_absent(&self, name: &PartName) -> Result<(), Error>;

    /// The containers of all parts, in any state, sorted by name.
    async fn list_parts(&self) -> Result<Vec<Part>, Error>;

    async fn find_part(&self, name: &PartName) -> Result<Option<Part>, Error>;

    /// What happens to containers of parts from now on.
    async fn part_events(&self) -> Result<BoxStream<'static, PartEvent>, Error>;

    /// The last `tail` lines of a part's output, control characters still in them; none if there is no such part.
    async fn part_output(&self, name: &PartName, tail: usize)
    -> Result<Option<Vec<String>>, Error>;

    /// The images that are here under names of the registry, sorted.
    async fn registry_images(&self) -> Result<Vec<ImageRef>, Error>;

    /// Makes an image present, if it has a name by which it can be fetched.
    async fn fetch_image(&self, image: &PartImage) -> Result<(), Error>;

    /// Builds the image of code from a tar archive that holds a `Dockerfile`: present as a whole or not at all.
    async fn build_image(&self, code: &share::Code, context: Bytes) -> Result<(), Error>;

    /// An image that is here by its id as an archive, as an engine saves and loads it: made as it is read.
    async fn image_archive(&self, image: &Digest) -> Result<ChunkStream, Error>;

    /// Sends an image that is here to the registry as `repository`; returns its name by digest.
    async fn push_image_as(&self, image: &PartImage, repository: &str) -> Result<ImageRef, Error>;
}
