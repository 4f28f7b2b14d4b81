//! A machine's own container engine, as the node agent sees it.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use super::Cause;
use super::container::{Container, ContainerSpec};
use super::disk::{Removed, StoredImage};
use crate::digest::{Digest, ImageRef};
use crate::failure::{Failure, FailureCode};
use crate::id::Epoch;
use crate::name::ContainerName;

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the container engine is unavailable")]
    Unavailable(#[source] Cause),
    #[error("there is no container {0}")]
    Absent(ContainerName),
    /// A container of this name exists that does not carry our labels.
    #[error("the name {0} belongs to a container that is not the platform's")]
    Foreign(ContainerName),
    #[error("the host port {port} is taken")]
    PortTaken { port: u16 },
    #[error("the image {image} cannot be had")]
    ImageUnavailable {
        image: String,
        #[source]
        source: Cause,
    },
    #[error("the image build failed")]
    BuildFailed { output: Vec<String> },
    #[error("the image build took too long")]
    BuildTimedOut { output: Vec<String> },
    #[error("there is no space left on the machine")]
    Full(#[source] Cause),
    /// The engine understood and refused.
    #[error("the container engine refused: {0}")]
    Refused(String),
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::ImageUnavailable { .. })
    }

    /// The same as a failure of the closed list.
    pub fn to_failure(&self) -> Failure {
        let silent: &[String] = &[];
        let (code, output) = match self {
            Error::Unavailable(_) => (FailureCode::NodeUnavailable, silent),
            Error::Absent(_) => (FailureCode::UnknownInstance, silent),
            Error::PortTaken { .. } => (FailureCode::PortTaken, silent),
            Error::ImageUnavailable { .. } => (FailureCode::ImageUnavailable, silent),
            Error::BuildFailed { output } => (FailureCode::BuildFailed, output.as_slice()),
            Error::BuildTimedOut { output } => (FailureCode::BuildTimeout, output.as_slice()),
            Error::Full(_) => (FailureCode::InsufficientStorage, silent),
            Error::Foreign(_) | Error::Refused(_) => (FailureCode::Internal, silent),
        };
        Failure { code, message: self.to_string(), output: output.to_vec() }
    }
}

/// Something happened to a container of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Started(ContainerName),
    Exited(ContainerName),
    /// The stream was rebuilt: list all again.
    Resync,
}

/// Lines of a container's output; control characters are still in them.
pub type LineStream = BoxStream<'static, Result<Bytes, Error>>;

/// Makes containers be there or not be there. Every method may be repeated.
#[async_trait]
pub trait Containers: Debug + Send + Sync {
    /// Makes a container of this specification run; one of the same name and another
    /// specification hash is replaced. The image must be present.
    async fn ensure_running(&self, spec: &ContainerSpec, epoch: Epoch) -> Result<Container, Error>;

    /// Has the process of a container of ours end (10 s), if there is one; the container stays.
    async fn stop(&self, name: &ContainerName) -> Result<(), Error>;

    /// Makes sure no container of ours has this name: stops it (10 s), removes it, and removes the
    /// instance's network with its last container.
    async fn ensure_absent(&self, name: &ContainerName) -> Result<(), Error>;

    /// All containers of ours, in any state, sorted by name.
    async fn list(&self) -> Result<Vec<Container>, Error>;

    /// The container of ours of this name, in any state.
    async fn find(&self, name: &ContainerName) -> Result<Option<Container>, Error>;

    /// What happens to containers of ours from now on.
    async fn events(&self) -> Result<BoxStream<'static, Event>, Error>;

    /// Builds an image from a tar archive that holds a `Dockerfile`, under a local repository name;
    /// returns its image id.
    async fn build(&self, repository: &str, context: Bytes) -> Result<Digest, Error>;

    /// Sends a built image to the registry; returns its name by digest.
    async fn push(&self, repository: &str) -> Result<ImageRef, Error>;

    /// Makes an image present.
    async fn pull(&self, image: &ImageRef) -> Result<(), Error>;

    /// Whether an image is present.
    async fn has_image(&self, image: &ImageRef) -> Result<bool, Error>;

    /// The images that the platform built, wherever it did, and the stages that builds left behind, the oldest first.
    /// Others are not told of.
    async fn stored_images(&self) -> Result<Vec<StoredImage>, Error>;

    /// Removes one of [`Containers::stored_images`] by its id, unless a container was made of it or something is being
    /// built. One that is not there is gone; one that the platform did not build stays.
    async fn remove_image(&self, id: &Digest) -> Result<Removed, Error>;

    /// The last `tail` lines of output, then, if `follow`, what comes.
    async fn logs(
        &self,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error>;

    /// The host port's process id inside the machine: for looking at what a container listens on.
    async fn process_id(&self, name: &ContainerName) -> Result<Option<u32>, Error>;
}

/// Whether a reader of output waits for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    Yes,
    No,
}
