//! Parts of the platform, asked of nodes' agents.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use common::agent::{
    BUILD_CODE, BuildCode, Built, CONSENT, Consent, Consented, ENSURE_PART, EnsurePart, IMAGES,
    PARTS, PUSH_IMAGE, PushImage, REGISTRY, REMOVE_PART, RESTART_PART, RegistryAt, RemovePart,
    RestartPart, SHARES, ShareIs, TailQuery,
};
use common::digest::{Digest, ImageRef};
use common::name::{PartName, ShareName};
use common::port::Parts;
use common::port::host::ChunkStream;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::share;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::error::Elapsed;

use super::{AgentClient, LOOK_WITHIN, PULL_WITHIN, answer, open};

/// Stopping waits up to 2 min for the part, and its folders may be large.
const END_WITHIN: Duration = Duration::from_mins(6);
/// Fetching an image or building it, and stopping what it takes the place of.
const MAKE_WITHIN: Duration = Duration::from_mins(20);
/// An image as a whole, over a slow line.
const COPY_WITHIN: Duration = Duration::from_mins(11);

impl AgentClient {
    /// Asks as another agent whether a part of an ensemble may be ended.
    pub async fn consent(&self, agent: &Agent, asked: &Consent) -> Result<Consented, Error> {
        answer(agent, self.order(agent, CONSENT, asked).timeout(LOOK_WITHIN)).await
    }
}

#[async_trait]
impl Parts for AgentClient {
    async fn ensure_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        spec: &PartSpec,
    ) -> Result<Part, Error> {
        let order = self.order(agent, ENSURE_PART, &EnsurePart { issuer, spec: spec.clone() });
        answer(agent, order.timeout(MAKE_WITHIN)).await
    }

    async fn remove_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        removal: &PartRemoval,
    ) -> Result<(), Error> {
        let body = RemovePart { issuer, removal: removal.clone() };
        open(agent, self.order(agent, REMOVE_PART, &body).timeout(END_WITHIN)).await.map(drop)
    }

    async fn restart_part(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &PartName,
    ) -> Result<Part, Error> {
        let order = self.order(agent, RESTART_PART, &RestartPart { issuer, name: name.clone() });
        answer(agent, order.timeout(END_WITHIN)).await
    }

    async fn parts(&self, agent: &Agent) -> Result<Vec<Part>, Error> {
        answer(agent, self.get(agent, PARTS).timeout(LOOK_WITHIN)).await
    }

    async fn part_logs(
        &self,
        agent: &Agent,
        name: &PartName,
        tail: usize,
    ) -> Result<Vec<String>, Error> {
        let request = self.get(agent, &format!("{PARTS}/{name}/logs")).query(&TailQuery { tail });
        answer(agent, request.timeout(LOOK_WITHIN)).await
    }

    async fn images(&self, agent: &Agent) -> Result<Vec<ImageRef>, Error> {
        answer(agent, self.get(agent, IMAGES).timeout(LOOK_WITHIN)).await
    }

    async fn push_image(
        &self,
        agent: &Agent,
        issuer: Issuer,
        image: &PartImage,
        repository: &str,
    ) -> Result<ImageRef, Error> {
        let (image, repository) = (image.clone(), repository.to_owned());
        let order = self.order(agent, PUSH_IMAGE, &PushImage { issuer, image, repository });
        let pushed: Built = answer(agent, order.timeout(PULL_WITHIN)).await?;
        Ok(pushed.image)
    }

    async fn image_archive(&self, agent: &Agent, image: &Digest) -> Result<ChunkStream, Error> {
        let request = self.get(agent, &format!("{IMAGES}/{image}/archive")).timeout(COPY_WITHIN);
        // A node that is silent must not hold up asking the next one.
        let asked = tokio::time::timeout(LOOK_WITHIN, open(agent, request)).await;
        let late =
            |late: Elapsed| Error::Unreachable { node: agent.node.clone(), source: late.into() };
        let chunks = asked.map_err(late)??.bytes_stream().map_err(io::Error::other);
        Ok(chunks.boxed())
    }

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error> {
        let order = self.order(agent, REGISTRY, &RegistryAt { issuer, registry });
        open(agent, order.timeout(LOOK_WITHIN)).await.map(drop)
    }

    async fn share_is(
        &self,
        agent: &Agent,
        issuer: Issuer,
        name: &ShareName,
        access: &share::Access,
    ) -> Result<(), Error> {
        let body = ShareIs { issuer, name: name.clone(), access: access.clone() };
        open(agent, self.order(agent, SHARES, &body).timeout(LOOK_WITHIN)).await.map(drop)
    }

    async fn build_code(
        &self,
        agent: &Agent,
        issuer: Issuer,
        code: &share::Code,
    ) -> Result<(), Error> {
        let body = BuildCode { issuer, code: code.clone() };
        open(agent, self.order(agent, BUILD_CODE, &body).timeout(MAKE_WITHIN)).await.map(drop)
    }
}
