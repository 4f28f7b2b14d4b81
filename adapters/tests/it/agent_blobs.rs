//! The contract of the blob store on real agents over mutual TLS, and what happens when nodes come and go.

use std::sync::{Arc, Mutex};

use adapters::AgentBlobs;
use adapters::blobs::{FileBlobs, Holder, Holders};
use async_trait::async_trait;
use bytes::Bytes;
use common::digest::Digest;
use common::port::blobs::{Error, Shelf};
use common::port::{Blobs, Cause};
use futures::TryStreamExt as _;
use testkit::blobs::Health;
use testkit::{MemoryBlobs, contract};

use crate::agent::{Node, while_serving_blobs};

/// What the node manager says.
#[derive(Debug, Default)]
struct Said(Mutex<Vec<Holder>>);

impl Said {
    fn of(nodes: &[Node]) -> Arc<Self> {
        let holder = |node: &Node| Holder { agent: node.agent.clone(), live: true };
        Arc::new(Said(Mutex::new(nodes.iter().map(holder).collect())))
    }

    fn set_live(&self, number: usize, live: bool) {
        self.0.lock().unwrap().get_mut(number).unwrap().live = live;
    }
}

#[async_trait]
impl Holders for Said {
    async fn all(&self) -> Result<Vec<Holder>, Cause> {
        Ok(self.0.lock().unwrap().clone())
    }
}

/// Blobs on so many nodes.
struct World<'a> {
    shelves: &'a [MemoryBlobs],
    nodes: &'a [Node],
    said: Arc<Said>,
    blobs: AgentBlobs,
}

async fn with_nodes(count: usize, test: impl AsyncFnOnce(&World<'_>)) {
    let shelves: Vec<MemoryBlobs> = (0..count).map(|_| MemoryBlobs::new()).collect();
    let served = shelves.iter().map(|shelf| Arc::new(shelf.clone()) as Arc<dyn Shelf>).collect();
    while_serving_blobs(served, async |client, nodes| {
        let said = Said::of(nodes);
        let blobs = AgentBlobs::new(client, Arc::clone(&said) as _);
        test(&World { shelves: &shelves, nodes, said, blobs }).await;
    })
    .await;
}

impl World<'_> {
    async fn put(&self, bytes: &'static [u8]) -> Digest {
        self.blobs.put(Bytes::from_static(bytes)).await.unwrap()
    }

    /// How many copies are made within two looks: what is missing at one only may be back.
    async fn repaired(&self) -> usize {
        let first = self.blobs.repair().await.unwrap();
        first + self.blobs.repair().await.unwrap()
    }

    async fn read(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let (_, bytes) = self.blobs.get(digest).await?;
        Ok(bytes.try_collect::<Vec<Bytes>>().await?.concat())
    }

    /// Which nodes really hold it.
    async fn holders_of(&self, digest: &Digest) -> Vec<usize> {
        let mut holders = Vec::new();
        for (number, shelf) in self.shelves.iter().enumerate() {
            if shelf.list().await.unwrap().contains(digest) {
                holders.push(number);
            }
        }
        holders
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let (folders, scratch) = ([(); 3].map(|()| tempfile::tempdir().unwrap()), tempfile::tempdir());
    let open = |folder: &tempfile::TempDir| FileBlobs::open(folder.path()).unwrap();
    let served = folders.iter().map(|folder| Arc::new(open(folder)) as Arc<dyn Shelf>).collect();
    while_serving_blobs(served, async |client, nodes| {
        let blobs = AgentBlobs::new(client, Said::of(nodes));
        contract::blobs::is_kept(&blobs, scratch.unwrap().path()).await;
    })
    .await;
}

#[tokio::test]
async fn each_blob_is_on_two_nodes_and_outlives_any_one_of_them() {
    with_nodes(3, async |world| {
        let digest = world.put(b"bundle").await;
        let holders = world.holders_of(&digest).await;
        assert_eq!(holders.len(), 2);
        world.nodes[holders[0]].stop();
        assert_eq!(world.read(&digest).await.unwrap(), b"bundle");
        assert_eq!(world.blobs.list().await.unwrap(), std::slice::from_ref(&digest));
        world.said.set_live(holders[0], false);
        assert_eq!(world.repaired().await, 1);
        world.nodes[holders[1]].stop();
        assert_eq!(world.read(&digest).await.unwrap(), b"bundle");
        assert_eq!(world.repaired().await, 0, "there is nobody to hold another");
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_full_or_down_leaves_its_copy_to_the_next() {
    with_nodes(3, async |world| {
        let holders = {
            let digest = world.put(b"bundle").await;
            let holders = world.holders_of(&digest).await;
            world.blobs.delete(&digest).await.unwrap();
            holders
        };
        world.shelves[holders[0]].set_health(Health::Full);
        let digest = world.put(b"bundle").await;
        let now = world.holders_of(&digest).await;
        assert!(now.len() == 2 && !now.contains(&holders[0]), "{now:?}");
    })
    .await;
}

#[tokio::test]
async fn absence_is_only_said_when_every_node_was_asked() {
    with_nodes(3, async |world| {
        let digest = Digest::of(b"nobody has it");
        assert!(matches!(world.read(&digest).await, Err(Error::Absent(_))));
        world.shelves[1].set_health(Health::Down);
        let read = world.read(&digest).await;
        assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    })
    .await;
}

#[tokio::test]
async fn a_copy_that_rotted_is_told_and_made_again_from_the_other() {
    with_nodes(2, async |world| {
        let digest = world.put(b"right").await;
        for shelf in world.shelves {
            shelf.corrupt(&digest, Bytes::from_static(b"wrong"));
            // One of the two is read first, always the same.
            let read = world.read(&digest).await;
            assert!(matches!(read, Ok(_) | Err(Error::Mismatch { .. })), "{read:?}");
            assert_eq!(world.read(&digest).await.unwrap(), b"right");
            if read.is_err() {
                assert_eq!(world.holders_of(&digest).await.len(), 1, "it was discarded");
                assert_eq!(world.repaired().await, 1);
            } else {
                shelf.corrupt(&digest, Bytes::from_static(b"right"));
            }
        }
        assert_eq!(world.holders_of(&digest).await.len(), 2);
        assert_eq!(world.read(&digest).await.unwrap(), b"right");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_copied_that_a_holder_calls_free_or_that_is_missing_only_for_a_moment() {
    with_nodes(3, async |world| {
        // Agents that have just begun were told nothing yet of what nobody has used for long.
        let digest = world.shelves[0].put(Bytes::from_static(b"bundle")).await.unwrap();
        assert_eq!(world.repaired().await, 0);
        assert_eq!(world.blobs.list().await.unwrap(), std::slice::from_ref(&digest));
        assert_eq!(world.read(&digest).await.unwrap(), b"bundle");
        assert_eq!(world.blobs.repair().await.unwrap(), 0, "who holds it may only start anew");
        world.said.set_live(0, false);
        assert_eq!(world.repaired().await, 0, "nobody is there who holds it");
        world.said.set_live(0, true);
        assert_eq!(world.blobs.repair().await.unwrap(), 0, "this is the first look again");
        assert_eq!(world.blobs.repair().await.unwrap(), 1);
        assert_eq!(world.holders_of(&digest).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn without_a_live_node_nothing_is_kept_and_that_is_said() {
    with_nodes(1, async |world| {
        let digest = world.put(b"one copy where there is one node").await;
        assert_eq!(world.holders_of(&digest).await.len(), 1);
        world.said.set_live(0, false);
        let put = world.blobs.put(Bytes::from_static(b"other")).await;
        assert!(matches!(put, Err(Error::Unavailable(_))), "{put:?}");
    })
    .await;
}
