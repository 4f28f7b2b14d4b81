//! A simulated node manager for who speaks for people: [`MemoryDrains`].
//!
//! All of its nodes live. Its faults are one that is away, and one that refuses everything with a problem.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::Drains;
use common::port::drains::Error;
use common::problem::Problem;

/// Nodes in memory, and whether each is drained. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryDrains {
    keeper: Arc<Mutex<Keeper>>,
}

#[derive(Debug, Default)]
struct Keeper {
    is_away: bool,
    refusal: Option<Problem>,
    nodes: BTreeMap<NodeName, bool>,
}

impl MemoryDrains {
    /// With these nodes, none of them drained.
    pub fn new(nodes: &[&str]) -> Self {
        let drains = MemoryDrains::default();
        let named = nodes.iter().map(|name| name.parse().expect("the test names nodes"));
        drains.keeper().nodes = named.map(|name| (name, false)).collect();
        drains
    }

    /// From now on nobody answers, or somebody again.
    pub fn set_away(&self, is_away: bool) {
        self.keeper().is_away = is_away;
    }

    /// From now on everything is refused so, or nothing any more.
    pub fn refuse(&self, refusal: Option<Problem>) {
        self.keeper().refusal = refusal;
    }

    /// The nodes that are drained, by name.
    pub fn drained(&self) -> Vec<NodeName> {
        let keeper = self.keeper();
        let drained = keeper.nodes.iter().filter(|(_, is_drained)| **is_drained);
        drained.map(|(name, _)| name.clone()).collect()
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self, node: &NodeName) -> Result<MutexGuard<'_, Keeper>, Error> {
        let keeper = self.keeper();
        if keeper.is_away {
            return Err(Error::Unavailable("connection refused".into()));
        }
        if let Some(problem) = &keeper.refusal {
            return Err(Error::Refused(Box::new(problem.clone())));
        }
        if keeper.nodes.contains_key(node) {
            Ok(keeper)
        } else {
            Err(refused(404, "NODE_UNKNOWN", &format!("no node is called {node}")))
        }
    }
}

fn refused(status: u16, code: &str, detail: &str) -> Error {
    Error::Refused(Box::new(Problem::new(status, code, "It cannot be", detail)))
}

#[async_trait]
impl Drains for MemoryDrains {
    async fn begin(&self, node: &NodeName) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut keeper = self.admitted(node)?;
        if !keeper.nodes.iter().any(|(other, is_drained)| other != node && !is_drained) {
            return Err(refused(409, "LAST_NODE", &format!("no other node than {node} is left")));
        }
        keeper.nodes.insert(node.clone(), true);
        Ok(())
    }

    async fn end(&self, node: &NodeName) -> Result<(), Error> {
        tokio::task::yield_now().await;
        self.admitted(node)?.nodes.insert(node.clone(), false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::drains::holds;

    #[tokio::test]
    async fn drains_in_memory_keep_the_contract() {
        let drains = MemoryDrains::new(&["node-1", "node-2"]);
        holds(&drains, ["node-1", "node-2"]).await;
    }
}
