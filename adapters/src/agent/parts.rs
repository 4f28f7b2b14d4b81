//! Parts of the platform, asked of nodes' agents.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use common::agent::{
    Built, ENSURE_PART, EnsurePart, IMAGES, PARTS, PUSH_IMAGE, PushImage, REGISTRY, REMOVE_PART,
    RESTART_PART, RegistryAt, RemovePart, RestartPart, TailQuery,
};
use common::digest::ImageRef;
use common::name::PartName;
use common::port::Parts;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};

use super::{AgentClient, LOOK_WITHIN, PULL_WITHIN, answer, open};

/// Stopping waits up to 2 min for the part, and its folders may be large.
const END_WITHIN: Duration = Duration::from_mins(6);
/// Fetching an image, and stopping what it takes the place of.
const MAKE_WITHIN: Duration = Duration::from_mins(14);

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

    async fn registry_at(
        &self,
        agent: &Agent,
        issuer: Issuer,
        registry: SocketAddr,
    ) -> Result<(), Error> {
        let order = self.order(agent, REGISTRY, &RegistryAt { issuer, registry });
        open(agent, order.timeout(LOOK_WITHIN)).await.map(drop)
    }
}
