//! [`AgentBlobs`]: each blob on two live nodes, which its digest chooses.
//!
//! Owns where the copies are, and that a lost one is made again, unless a node that holds another calls the blob free. What
//! is read is checked against its digest on the way. Never decides which blobs are needed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::Digest;
use common::port::Blobs;
use common::port::blobs::{ByteStream, Error};
use common::port::nodes::Agent;
use common::rendezvous;
use futures::StreamExt as _;
use futures::future::join_all;
use reqwest::Body;
use tokio::fs::File;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use super::holders::{Holder, Holders};
use super::{checked, failed, pieces};
use crate::agent::AgentClient;

/// On how many nodes each blob is.
const COPIES: usize = 2;

/// How often missing copies are looked for, and how long what was seen is gone by.
const REPAIR_EVERY: Duration = Duration::from_mins(1);

/// Blobs on nodes.
#[derive(Debug)]
pub struct AgentBlobs {
    shelves: Shelves,
    repairs: Arc<Repairs>,
    _repairing: AbortOnDropHandle<()>,
}

impl AgentBlobs {
    /// Looks for missing copies from now on, as long as it is there.
    pub fn new(client: AgentClient, holders: Arc<dyn Holders>) -> Self {
        let shelves = Shelves { client, holders };
        let repairs = Repairs { shelves: shelves.clone(), missed: Mutex::default() };
        let repairs = Arc::new(repairs);
        #[expect(clippy::disallowed_methods, reason = "it ends with the blobs")]
        let repairing = tokio::spawn(repair_for_ever(Arc::clone(&repairs)));
        AgentBlobs { shelves, repairs, _repairing: AbortOnDropHandle::new(repairing) }
    }

    /// Makes the copies that are missing: of a blob that fewer than two live nodes hold, none of which calls it free, now and
    /// when this was last asked. Says how many it made. What a node that comes back holds besides stays.
    pub async fn repair(&self) -> Result<usize, Error> {
        self.repairs.run().await
    }
}

async fn repair_for_ever(repairs: Arc<Repairs>) {
    let mut ticks = interval_at(Instant::now() + REPAIR_EVERY, REPAIR_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match repairs.run().await {
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "missing copies of blobs were made"),
            Err(err) => {
                tracing::warn!(error = &err as &dyn std::error::Error, "blobs cannot be looked at");
            }
        }
    }
}

/// What is to be kept: it is sent more than once.
enum Source<'a> {
    File(&'a Path),
    Bytes(Bytes),
}

impl Source<'_> {
    async fn open(&self) -> Result<Body, Error> {
        match self {
            Source::File(path) => {
                let file = File::open(path).await.map_err(failed)?;
                Ok(Body::wrap_stream(pieces(file)))
            }
            Source::Bytes(bytes) => Ok(Body::from(bytes.clone())),
        }
    }
}

/// The nodes, by their agents.
#[derive(Debug, Clone)]
struct Shelves {
    client: AgentClient,
    holders: Arc<dyn Holders>,
}

impl Shelves {
    /// All nodes, those first that should hold the blob.
    async fn order(&self, digest: &Digest) -> Result<Vec<Holder>, Error> {
        let mut holders = self.holders.all().await.map_err(Error::Unavailable)?;
        let weight = |holder: &Holder| rendezvous::weight(digest.as_str(), &holder.agent.node);
        holders.sort_by_key(|holder| (Reverse(holder.live), Reverse(weight(holder))));
        Ok(holders)
    }

    /// Puts a blob on the first two live nodes that take it; one is enough where there is no other.
    async fn spread(&self, digest: &Digest, source: Source<'_>) -> Result<(), Error> {
        let mut copies = 0;
        let mut refusal = None;
        for holder in self.order(digest).await?.into_iter().filter(|holder| holder.live) {
            match self.client.put_blob(&holder.agent, digest, source.open().await?).await {
                Ok(()) => copies += 1,
                Err(err @ Error::Mismatch { .. }) => return Err(err),
                Err(err) => {
                    let node = &holder.agent.node;
                    tracing::warn!(error = &err as &dyn std::error::Error, %node, blob = %digest, "a node does not take a blob");
                    refusal = Some(err);
                }
            }
            if copies == COPIES {
                return Ok(());
            }
        }
        if copies > 0 {
            return Ok(());
        }
        Err(refusal.unwrap_or_else(|| Error::Unavailable("no node is live".into())))
    }

    /// From the first node that has it. That none has it is only said when all were asked.
    async fn find(&self, digest: &Digest, order: &[Holder]) -> Result<(u64, ByteStream), Error> {
        let mut silent = None;
        for holder in order {
            match self.client.get_blob(&holder.agent, digest).await {
                Ok((size, bytes)) => {
                    let bytes = checked(digest.clone(), bytes, Error::Unavailable);
                    return Ok((size, self.clone().discard_rotten(holder.agent.clone(), bytes)));
                }
                Err(Error::Absent(_)) => {}
                Err(err) => silent = Some(err),
            }
        }
        Err(silent.unwrap_or_else(|| Error::Absent(digest.clone())))
    }

    /// A copy that is not what it should be is removed, so that the next reader gets the other one.
    fn discard_rotten(self, agent: Agent, bytes: ByteStream) -> ByteStream {
        let read = move |piece: Result<Bytes, Error>| {
            let (client, agent) = (self.client.clone(), agent.clone());
            async move {
                if let Err(Error::Mismatch { wanted, .. }) = &piece {
                    tracing::error!(node = %agent.node, blob = %wanted, "a copy has rotted");
                    drop(client.delete_blob(&agent, wanted).await);
                }
                piece
            }
        };
        bytes.then(read).boxed()
    }

    /// What the nodes hold, of those that answer.
    async fn survey(&self, holders: &[Holder]) -> BTreeMap<Digest, Found> {
        let lists = holders
            .iter()
            .map(|holder| async move { (holder, self.client.list_blobs(&holder.agent).await) });
        let mut found: BTreeMap<Digest, Found> = BTreeMap::new();
        for (holder, listed) in join_all(lists).await {
            let Ok(listed) = listed else { continue };
            for digest in listed.held {
                found.entry(digest).or_default().held_by.insert(holder.agent.clone());
            }
            for digest in listed.free {
                found.entry(digest).or_default().is_free = true;
            }
        }
        found
    }

    /// Makes so many copies of a blob that these nodes hold. Says how many it made.
    async fn add(
        &self,
        digest: &Digest,
        held_by: &BTreeSet<Agent>,
        missing: usize,
    ) -> Result<usize, Error> {
        let without = self.order(digest).await?.into_iter();
        let without = without.filter(|one| one.live && !held_by.contains(&one.agent));
        let mut made = 0;
        for target in without.take(missing) {
            match self.copy(digest, held_by, &target.agent).await {
                Ok(()) => made += 1,
                Err(err) => {
                    let node = &target.agent.node;
                    tracing::warn!(error = &err as &dyn std::error::Error, %node, blob = %digest, "a copy is still missing");
                }
            }
        }
        Ok(made)
    }

    async fn copy(&self, digest: &Digest, from: &BTreeSet<Agent>, to: &Agent) -> Result<(), Error> {
        let from: Vec<Holder> =
            from.iter().map(|agent| Holder { agent: agent.clone(), live: true }).collect();
        let (_, bytes) = self.find(digest, &from).await?;
        self.client.put_blob(to, digest, Body::wrap_stream(bytes)).await
    }
}

/// What the nodes say of a blob.
#[derive(Debug, Default)]
struct Found {
    held_by: BTreeSet<Agent>,
    /// One of them says that nobody needs it.
    is_free: bool,
}

/// Makes copies that are missing, look by look.
#[derive(Debug)]
struct Repairs {
    shelves: Shelves,
    /// What was missing at the last look, and who held it then.
    missed: Mutex<Missed>,
}

#[derive(Debug, Default)]
struct Missed {
    held_by: BTreeMap<Digest, BTreeSet<Agent>>,
    /// The one that was copied last, or tried: the next look goes on behind it, so that none that cannot be copied is in the way
    /// of all others.
    last: Option<Digest>,
}

impl Repairs {
    /// A node that only starts anew is back at the next look.
    async fn run(&self) -> Result<usize, Error> {
        let mut missed = self.missed.lock().await;
        let looked = Instant::now();
        let holders = self.shelves.holders.all().await.map_err(Error::Unavailable)?;
        let live: Vec<Holder> = holders.into_iter().filter(|holder| holder.live).collect();
        let copies = COPIES.min(live.len());
        let found = self.shelves.survey(&live).await.into_iter();
        let missing = found.filter(|(_, one)| !one.is_free && one.held_by.len() < copies);
        let missing = missing.map(|(digest, one)| (digest, one.held_by)).collect();
        let Missed { held_by: now, last } = &mut *missed;
        let before = mem::replace(now, missing);
        let mut made = 0;
        for (digest, held_by) in behind(now, last.as_ref()) {
            if looked.elapsed() >= REPAIR_EVERY {
                break;
            }
            if before.get(digest) == Some(held_by) {
                *last = Some(digest.clone());
                made += self.shelves.add(digest, held_by, copies - held_by.len()).await?;
            }
        }
        Ok(made)
    }
}

/// All of them, in turn, beginning behind this one.
fn behind<'a, T>(
    missing: &'a BTreeMap<Digest, T>,
    last: Option<&Digest>,
) -> Vec<(&'a Digest, &'a T)> {
    let is_behind = |one: &(&Digest, &T)| last.is_none_or(|last| one.0 > last);
    let (mut turns, then): (Vec<_>, Vec<_>) = missing.iter().partition(is_behind);
    turns.extend(then);
    turns
}

#[async_trait]
impl Blobs for AgentBlobs {
    async fn put_file(&self, digest: &Digest, file: &Path) -> Result<(), Error> {
        self.shelves.spread(digest, Source::File(file)).await
    }

    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        self.shelves.spread(&digest, Source::Bytes(bytes)).await?;
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<(u64, ByteStream), Error> {
        let order = self.shelves.order(digest).await?;
        self.shelves.find(digest, &order).await
    }

    /// What the live nodes hold. Of two copies one is enough, so one node may be silent.
    async fn list(&self) -> Result<Vec<Digest>, Error> {
        let holders = self.shelves.holders.all().await.map_err(Error::Unavailable)?;
        let live: Vec<Holder> = holders.into_iter().filter(|holder| holder.live).collect();
        let lists =
            join_all(live.iter().map(|one| self.shelves.client.list_blobs(&one.agent))).await;
        let silent = lists.iter().filter(|list| list.is_err()).count();
        if live.is_empty() || silent >= COPIES || silent == live.len() {
            return Err(Error::Unavailable(
                format!("{silent} of {} nodes are silent", live.len()).into(),
            ));
        }
        let held = lists.into_iter().flatten().flat_map(|listed| listed.held);
        let listed: BTreeSet<Digest> = held.collect();
        Ok(listed.into_iter().collect())
    }

    /// Wherever it is: a node that is not live may bring it back with itself.
    async fn delete(&self, digest: &Digest) -> Result<(), Error> {
        let order = self.shelves.order(digest).await?;
        let deleted = join_all(order.iter().map(|holder| async move {
            let deleted = self.shelves.client.delete_blob(&holder.agent, digest).await;
            if holder.live { deleted } else { Ok(()) }
        }));
        deleted.await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_tried_last_is_tried_again_after_all_others() {
        let mut digests = [b"one", b"two", b"six"].map(|bytes| Digest::of(bytes));
        digests.sort();
        let missing: BTreeMap<Digest, u8> =
            digests.iter().map(|digest| (digest.clone(), 1)).collect();
        let turns = |last| behind(&missing, last).into_iter().map(|(digest, _)| digest.clone());
        let [first, second, third] = &digests;
        for (last, order) in [
            (None, [first, second, third]),
            (Some(first), [second, third, first]),
            (Some(third), [first, second, third]),
        ] {
            assert!(turns(last).eq(order.into_iter().cloned()), "{last:?}");
        }
    }
}
