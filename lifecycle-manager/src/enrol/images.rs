//! [`NodesImages`]: the platform's images for a machine that has none, from a node that has them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use common::digest::Digest;
use common::name::NodeName;
use common::port::host::ChunkStream;
use common::port::images::Error;
use common::port::nodes::Agent;
use common::port::{Images, Parts};
use rollout::machine::{Ports, Trust};
use rollout::platform::Platform;

/// The images of all nodes but one, and those that are at hand here.
pub(super) struct NodesImages {
    parts: Option<Arc<dyn Parts>>,
    agents: Vec<Agent>,
    here: Arc<dyn Images>,
}

impl fmt::Debug for NodesImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodesImages").field("agents", &self.agents).finish_non_exhaustive()
    }
}

impl NodesImages {
    /// For `machine`, which has none.
    pub(super) fn of(platform: &Platform, machine: &NodeName, ports: &Ports) -> Self {
        let others = platform.machines.iter().filter(|other| other.name != *machine);
        NodesImages {
            parts: ports.trust.as_ref().map(|Trust { parts, .. }| Arc::clone(parts)),
            agents: others.filter_map(|other| platform.agent(&other.name)).collect(),
            here: Arc::clone(&ports.images),
        }
    }

    async fn of_nodes(&self, image: &Digest) -> Option<ChunkStream> {
        let parts = self.parts.as_ref()?;
        for agent in &self.agents {
            match parts.image_archive(agent, image).await {
                Ok(archive) => return Some(archive),
                Err(err) => {
                    tracing::debug!(error = &err as &dyn std::error::Error, node.id = %agent.node, %image, "a node does not give an image");
                }
            }
        }
        None
    }
}

#[async_trait]
impl Images for NodesImages {
    async fn find(&self, name: &str) -> Result<Option<Digest>, Error> {
        self.here.find(name).await
    }

    /// One image is one archive of a node's engine; several together only who is here can make into one.
    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, Error> {
        if let [image] = images
            && let Some(archive) = self.of_nodes(image).await
        {
            return Ok(archive);
        }
        self.here.archive(images).await
    }
}

/// Nothing is at hand.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Nothing;

#[cfg(test)]
#[async_trait]
impl Images for Nothing {
    async fn find(&self, _: &str) -> Result<Option<Digest>, Error> {
        Ok(None)
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, Error> {
        Err(Error::NotFound(images.iter().map(ToString::to_string).collect()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use common::port::part::PartImage;
    use futures::TryStreamExt as _;
    use testkit::nodes::Reach;
    use testkit::{ManualClock, MemoryParts};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_image_comes_from_the_first_node_that_has_it_and_answers() {
        let parts = MemoryParts::new(Arc::new(ManualClock::ticking()));
        let agents = ["node-1", "node-2", "node-3"].map(|node| parts.add(node));
        let image = Digest::of(b"the program");
        let images = NodesImages {
            parts: Some(Arc::new(parts.clone())),
            agents: agents.to_vec(),
            here: Arc::new(Nothing),
        };
        let wanted = [image.clone()];
        assert!(matches!(images.archive(&wanted).await, Err(Error::NotFound(_))));
        for node in ["node-1", "node-3"] {
            parts.place_image(&node.parse().unwrap(), &PartImage::Id(image.clone()));
        }
        parts.set_reach(&"node-1".parse().unwrap(), Reach::Partitioned).await;
        let archive: Vec<Bytes> =
            images.archive(&wanted).await.unwrap().try_collect().await.unwrap();
        assert_eq!(archive.concat(), format!("archive of {image}").as_bytes());
        assert_eq!(
            parts.calls().last().unwrap().to_string(),
            format!("archive of {image} from node-3")
        );
    }
}
