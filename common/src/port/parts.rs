//! The platform's own parts on nodes: asked of a node's agent, as [`super::Nodes`] is for apps.

use std::fmt::Debug;
use std::net::SocketAddr;

use async_trait::async_trait;

use super::host::ChunkStream;
use super::nodes::{Agent, Error, Issuer};
use super::part::{Part, PartImage, PartRemoval, PartSpec};
use super::share;
use crate::digest::{Digest, ImageRef};
use crate::failure::{Failure, FailureCode};
use crate::name::{PartName, ShareName};

/// Talks to nodes' agents about parts of the platform. Every method may be repeated; what an older leader or an
/// older generation says is refused, as with containers of apps.
#[async_trait]
pub trait Parts: Debug + Send + Sync {
    /// Makes a part run as specified; fetches its image if it is missing. Returns when its container was
    /// started, not when it is healthy.
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, Error>;

    /// Makes sure a part is gone; returns only when it is.
    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error>;

    /// Ends a part's process and starts it again, as it is.
    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error>;

    /// All parts of the platform on the node, sorted by name.
    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error>;

    /// The last lines of a part's output.
    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error>;

    /// The images that the node has by the registry's names: what a lost registry can be filled from.
    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error>;

    /// Pushes an image that the node has to the registry, as `repository` there; returns its name by digest.
    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error>;

    /// An image of the node by its id as an archive, as an engine saves and loads it. Agents of before this could be asked
    /// have none to give.
    async fn image_archive(&self, agent: &Agent, image: &Digest) -> Result<ChunkStream, Error> {
        let message = format!("the agent gives no archive of {image}");
        let failure = Failure::new(FailureCode::ImageUnavailable, message);
        Err(Error::Failed { node: agent.node.clone(), failure })
    }

    /// Says where the registry is: the agent forwards its machine's `127.0.0.1:5000` to it, so that images have
    /// the same name on every node, wherever the registry is.
    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error>;

    /// Says what a share is and what opens it, before parts are ordered that are built of code on it. Agents of before
    /// this could be said take none.
    async fn share_is(
        &self,
        agent: &Agent,
        _issuer: Issuer,
        name: &ShareName,
        _access: &share::Access,
    ) -> Result<(), Error> {
        let message = format!("the agent cannot be told of the share {name}");
        let failure = Failure::new(FailureCode::ShareUnknown, message);
        Err(Error::Failed { node: agent.node.clone(), failure })
    }

    /// Has the image of code be there: fetched whole and built where it is missing. Runs nothing. Agents of before this could
    /// be asked build only what they run.
    async fn build_code(
        &self,
        agent: &Agent,
        _issuer: Issuer,
        code: &share::Code,
    ) -> Result<(), Error> {
        let message = format!("the agent builds {code} only for a part");
        let failure = Failure::new(FailureCode::ImageUnavailable, message);
        Err(Error::Failed { node: agent.node.clone(), failure })
    }
}
