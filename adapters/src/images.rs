//! [`DockerImages`]: the images of this computer's engine, as archives for machines that cannot fetch any yet.

mod archived;

use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error as EngineError;
use bollard::{API_DEFAULT_VERSION, Docker};
use common::digest::Digest;
use common::port::Images;
use common::port::host::ChunkStream;
use common::port::images::Error;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::timeout;

pub use archived::ArchivedImages;

/// What the engine answers at once takes at most this long.
const QUICK: Duration = Duration::from_secs(15);
/// An archive is made as it is read: nothing of it may be late for longer.
const SECONDS: u64 = 120;

/// The images of one engine.
#[derive(Debug, Clone)]
pub struct DockerImages {
    docker: Docker,
}

impl DockerImages {
    /// Fails while there is no such socket.
    pub fn new(socket: &Path) -> Result<Self, Error> {
        let docker =
            Docker::connect_with_unix(&socket.to_string_lossy(), SECONDS, API_DEFAULT_VERSION);
        Ok(DockerImages { docker: docker.map_err(unavailable)? })
    }
}

fn unavailable(err: EngineError) -> Error {
    Error::Unavailable(err.into())
}

#[async_trait]
impl Images for DockerImages {
    async fn find(&self, name: &str) -> Result<Option<Digest>, Error> {
        let inspected = timeout(QUICK, self.docker.inspect_image(name)).await;
        let found = match inspected.map_err(|late| Error::Unavailable(late.into()))? {
            Ok(found) => found,
            Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => {
                return Ok(None);
            }
            Err(err) => return Err(unavailable(err)),
        };
        let id = found.id.unwrap_or_default().parse();
        id.map(Some).map_err(|err: common::digest::Error| Error::Unavailable(err.into()))
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, Error> {
        // The engine says that one is missing only when it has begun.
        for image in images {
            if self.find(image.as_str()).await?.is_none() {
                return Err(Error::NotFound(image.to_string()));
            }
        }
        let names: Vec<&str> = images.iter().map(Digest::as_str).collect();
        let chunks = self.docker.export_images(&names).map_err(io::Error::other);
        Ok(chunks.boxed())
    }
}
