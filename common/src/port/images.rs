//! Images that are at hand where somebody acts, and that machines are to get before they can fetch any.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Cause;
use super::host::ChunkStream;
use crate::digest::Digest;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no image {0} here")]
    NotFound(String),
    #[error("the images cannot be read")]
    Unavailable(#[source] Cause),
}

/// Where images come from.
#[async_trait]
pub trait Images: Debug + Send + Sync {
    /// The id of the image that is called so here; none if there is no such image.
    async fn find(&self, name: &str) -> Result<Option<Digest>, Error>;

    /// These images by their ids as one archive, as an engine saves and loads them. Layers that they share are in it
    /// once.
    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, Error>;
}
