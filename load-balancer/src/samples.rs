//! Follows every node's samples: the balance cycle hears all of them, document 001's health list shows the latest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use chassis::lifecycle::Lifecycle;
use common::name::NodeName;
use common::port::nodes::Agent;
use common::record::node::Node;
use common::record::path;
use futures::future::{AbortHandle, Abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};

use crate::records::all;
use crate::shared::Shared;

/// How often the list of nodes is read.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// After this long without a sample the last one says nothing any more.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// A node's agent, and the address at which the node's replicas are reached.
type Followed = (Agent, IpAddr);

/// Follows the nodes there are until the process stops.
pub(crate) async fn follow(shared: &Shared, lifecycle: &Lifecycle) {
    let mut followed: BTreeMap<Followed, AbortHandle> = BTreeMap::new();
    let mut following = FuturesUnordered::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            _ = look.tick() => {
                let Some(agents) = agents(shared).await else { continue };
                followed.retain(|agent, handle| {
                    let stays = agents.contains(agent);
                    if !stays {
                        handle.abort();
                    }
                    stays
                });
                for (agent, ip) in agents {
                    if followed.contains_key(&(agent.clone(), ip)) {
                        continue;
                    }
                    let (handle, registration) = AbortHandle::new_pair();
                    followed.insert((agent.clone(), ip), handle);
                    let heard = follow_one(shared, agent, ip);
                    following.push(Abortable::new(heard, registration).boxed());
                }
            }
            Some(_) = following.next() => {}
        }
    }
}

async fn agents(shared: &Shared) -> Option<BTreeSet<Followed>> {
    match all::<Node>(&*shared.ports.store, &path::folder("nodes")).await {
        Ok(nodes) => Some(
            nodes
                .into_iter()
                .map(|node| node.record)
                .map(|node| (Agent { node: node.name, address: node.agent }, node.ip))
                .collect(),
        ),
        Err(err) => {
            tracing::debug!(error = &err as &dyn std::error::Error, "the nodes cannot be read");
            None
        }
    }
}

async fn follow_one(shared: &Shared, agent: Agent, ip: IpAddr) {
    let _forget = Forget { shared, node: &agent.node };
    loop {
        if let Ok(mut samples) = shared.ports.nodes.samples(&agent).await {
            while let Ok(Some(Ok(sample))) =
                tokio::time::timeout(SILENT_AFTER, samples.next()).await
            {
                shared.heard(&agent.node, ip, sample);
            }
        }
        shared.samples().remove(&agent.node);
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// What is known of a node goes when it is no longer followed.
struct Forget<'a> {
    shared: &'a Shared,
    node: &'a NodeName,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.samples().remove(self.node);
    }
}
