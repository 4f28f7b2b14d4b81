//! Which nodes there are, for the whole process: as configured, or as their records last said.

use std::sync::Arc;

use common::name::NodeName;
use common::record::node::Node;
use tokio::sync::watch;

use crate::config::Nodes;

/// The nodes, in the order of their names.
#[derive(Debug)]
pub(crate) struct Members(watch::Sender<Arc<[Node]>>);

impl Members {
    pub(crate) fn new(nodes: &Nodes) -> Self {
        let known = match nodes {
            Nodes::Configured(nodes) => nodes.clone(),
            Nodes::Stored => Vec::new(),
        };
        Members(watch::Sender::new(known.into()))
    }

    pub(crate) fn all(&self) -> Arc<[Node]> {
        Arc::clone(&self.0.borrow())
    }

    pub(crate) fn names(&self) -> Vec<NodeName> {
        self.all().iter().map(|node| node.name.clone()).collect()
    }

    pub(crate) fn find(&self, name: &NodeName) -> Option<Node> {
        self.all().iter().find(|node| node.name == *name).cloned()
    }

    /// From now on these are the nodes; says whether that is news.
    pub(crate) fn replace(&self, nodes: Vec<Node>) -> bool {
        self.0.send_if_modified(|known| {
            let is_news = **known != *nodes;
            if is_news {
                *known = nodes.into();
            }
            is_news
        })
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<[Node]>> {
        self.0.subscribe()
    }
}
