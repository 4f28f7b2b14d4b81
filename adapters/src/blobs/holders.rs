//! Which nodes can hold blobs.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::name::NodeName;
use common::port::nodes::Agent;
use common::port::{Cause, Store};
use common::record::node::{Alive, Node, Verdict};
use common::record::{decode, path};

const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// A node that may hold blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub agent: Agent,
    /// Whether it gets new ones, and whether what it holds counts.
    pub live: bool,
}

/// Knows the nodes.
#[async_trait]
pub trait Holders: Debug + Send + Sync {
    /// All nodes there are, live or not.
    async fn all(&self) -> Result<Vec<Holder>, Cause>;
}

/// The nodes that the store's records name, with the node manager's verdict on each. One without a verdict is new, and
/// counts as live.
#[derive(Debug)]
pub struct StoreHolders(pub Arc<dyn Store>);

#[async_trait]
impl Holders for StoreHolders {
    async fn all(&self) -> Result<Vec<Holder>, Cause> {
        tokio::time::timeout(LOOK_WITHIN, self.look()).await?
    }
}

impl StoreHolders {
    async fn look(&self) -> Result<Vec<Holder>, Cause> {
        let mut holders = Vec::new();
        for name in self.0.children(&path::folder("nodes")).await? {
            let Ok(name) = name.parse::<NodeName>() else { continue };
            let Some(entry) = self.0.get(&path::node(&name)).await? else { continue };
            let node: Node = decode(&entry.value)?;
            let live = match self.0.get(&path::alive(&name)).await? {
                Some(entry) => decode::<Alive>(&entry.value)?.verdict == Verdict::Live,
                None => true,
            };
            holders.push(Holder { agent: Agent { node: node.name, address: node.agent }, live });
        }
        Ok(holders)
    }
}

#[cfg(test)]
mod tests {
    use common::record::encode;
    use jiff::Timestamp;
    use testkit::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn the_stores_nodes_are_live_unless_the_node_manager_says_otherwise() {
        let store = MemoryStore::new();
        let verdicts = [None, Some(Verdict::Live), Some(Verdict::Suspect), Some(Verdict::Dead)];
        for (number, verdict) in (1..).zip(verdicts) {
            let name: NodeName = format!("node-{number}").parse().unwrap();
            let ip = [192, 0, 2, number].into();
            let agent = (ip, 7443).into();
            let node = Node {
                schema: 1,
                name: name.clone(),
                ip,
                agent,
                os: "linux".to_owned(),
                leaves: false,
            };
            store.seed(&path::node(&name), encode(&node));
            if let Some(verdict) = verdict {
                let (reason, since) = (String::new(), Timestamp::UNIX_EPOCH);
                let alive = Alive { schema: 1, node: name.clone(), verdict, reason, since };
                store.seed(&path::alive(&name), encode(&alive));
            }
        }
        let holders = StoreHolders(Arc::new(store)).all().await.unwrap();
        let live: Vec<bool> = holders.iter().map(|holder| holder.live).collect();
        assert_eq!(live, [true, true, false, false]);
        assert_eq!(holders[0].agent.address.to_string(), "192.0.2.1:7443");
    }
}
