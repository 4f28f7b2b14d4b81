//! What is on the nodes' disks, as those that answer last said; and telling them which images are kept, and which bundles
//! are needed.
//!
//! An image that a deployment refers to is kept on every node that has it, and so is a bundle that any record refers to.
//! Nodes remove the others on their own when their disk is short: nothing is removed here.

mod references;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::records;
use common::name::{LegacyName, NodeName};
use common::port::disk::{Disk, Needs, Pin};
use common::port::nodes::{self, Agent};
use common::record::node::Node;
use common::record::path;
use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use self::references::Reader;
use crate::domain::collection;
use crate::records as ours;
use crate::shared::Shared;

const EVERY: Duration = Duration::from_secs(30);
/// A node that takes longer is asked again in its turn.
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// A node that was told what is kept may have lost it since.
const TELL_AGAIN_AFTER: Duration = Duration::from_mins(10);
/// Who refers to bundles stands in many more records, and nobody waits for it.
const COUNT_EVERY: Duration = Duration::from_mins(5);
/// What could not be counted. It costs as much as what could.
const COUNT_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// What the nodes said. Forgotten when the service ends.
#[derive(Debug, Default)]
pub(crate) struct Disks(Mutex<BTreeMap<NodeName, Arc<Disk>>>);

impl Disks {
    /// Each placement looks at all of them, and each may be of very many bundles: none is copied.
    pub(crate) fn of(&self, node: &NodeName) -> Option<Arc<Disk>> {
        self.lock().get(node).cloned()
    }

    /// What was said before may not be so any more.
    fn note(&self, node: &NodeName, said: Option<Disk>) {
        let mut disks = self.lock();
        match said {
            Some(disk) => drop(disks.insert(node.clone(), Arc::new(disk))),
            None => drop(disks.remove(node)),
        }
    }

    fn keep_only(&self, nodes: &[Node]) {
        self.lock().retain(|name, _| nodes.iter().any(|node| node.name == *name));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Arc<Disk>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks and tells; never ends.
pub(crate) async fn follow(shared: &Shared) {
    let mut told = Told::default();
    let mut counted = Counted::default();
    loop {
        let nodes = shared.members().all();
        shared.disks.keep_only(&nodes);
        let asked = join_all(nodes.iter().map(|node| ask(shared, node))).await;
        let heard: Vec<Agent> = asked.into_iter().flatten().collect();
        // Who says nothing of its disk takes no word on it.
        if !heard.is_empty() {
            match pins(shared).await {
                Ok(pins) => told.tell(shared, &heard, pins.into()).await,
                Err(err) => tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "what images are kept cannot be read; the nodes keep what they were told"
                ),
            }
        }
        // It takes longest, and the pins are waited for.
        counted.tell(shared, &heard).await;
        sleep(EVERY).await;
    }
}

/// The agent, if it answered.
async fn ask(shared: &Shared, node: &Node) -> Option<Agent> {
    let agent = Agent { node: node.name.clone(), address: node.agent };
    let said = match timeout(ASK_WITHIN, shared.ports.nodes.disk(&agent)).await {
        Ok(Ok(disk)) => Some(disk),
        Ok(Err(err)) => {
            tracing::debug!(error = &err as &dyn std::error::Error, node = %agent.node, "a node says nothing of its disk");
            None
        }
        Err(_) => None,
    };
    let has_said = said.is_some();
    shared.disks.note(&agent.node, said);
    has_said.then_some(agent)
}

/// Every image that a deployment refers to. One record that cannot be read makes it unknown, not smaller.
async fn pins(shared: &Shared) -> Result<Vec<Pin>, records::Error> {
    let store = shared.ports.store.as_ref();
    let mut pins = BTreeSet::new();
    for (_, name) in records::sharded(store, &path::folder("deployments")).await? {
        let Ok(name) = name.parse::<LegacyName>() else { continue };
        let Some(stored) = ours::deployment(shared, &name).await? else { continue };
        let by = format!("kept for {name}");
        pins.extend(
            stored.record.images().map(|image| Pin { image: image.clone(), by: by.clone() }),
        );
    }
    Ok(pins.into_iter().collect())
}

/// What nodes were told, and when.
#[derive(Debug, Default)]
struct Told(BTreeMap<NodeName, (Instant, Arc<[Pin]>)>);

impl Told {
    async fn tell(&mut self, shared: &Shared, agents: &[Agent], pins: Arc<[Pin]>) {
        let fits = collection::fits(&pins);
        let for_node = |agent: &Agent| match shared.disks.of(&agent.node).filter(|_| !fits) {
            Some(disk) => collection::pins_of(&disk, &pins).into(),
            None => Arc::clone(&pins),
        };
        let all = agents.iter().map(|agent| (agent, for_node(agent)));
        let telling = all.filter(|(agent, pins)| self.is_due(&agent.node, pins));
        let telling = telling.map(|(agent, pins)| async move {
            let said = shared.ports.nodes.pin(agent, shared.seat.issuer(), &pins).await;
            (&agent.node, pins, said)
        });
        for (node, pins, said) in join_all(telling).await {
            match said {
                Ok(()) => drop(self.0.insert(node.clone(), (Instant::now(), pins))),
                Err(err) => not_told(node, &err),
            }
        }
    }

    fn is_due(&self, node: &NodeName, pins: &[Pin]) -> bool {
        let told = self.0.get(node);
        told.is_none_or(|(at, told)| **told != *pins || at.elapsed() >= TELL_AGAIN_AFTER)
    }
}

/// When it is counted next who refers to bundles.
#[derive(Debug, Default)]
struct Counted {
    due: Option<Instant>,
    reader: Reader,
}

impl Counted {
    /// Those that were heard have just looked: only then are the references read.
    async fn tell(&mut self, shared: &Shared, heard: &[Agent]) {
        if self.due.is_some_and(|due| Instant::now() < due) {
            return;
        }
        let disk = |agent: &Agent| Some((agent.node.clone(), shared.disks.of(&agent.node)?));
        let disks: BTreeMap<NodeName, Arc<Disk>> = heard.iter().filter_map(disk).collect();
        if disks.values().all(|disk| disk.bundles.is_empty()) {
            return;
        }
        let next = match self.reader.read(shared).await {
            Ok(references) => {
                let needs = collection::needs(&disks, &references);
                let told = heard.iter().filter_map(|agent| {
                    let needs = needs.get(&agent.node)?;
                    Some(need(shared, agent, needs))
                });
                join_all(told).await;
                COUNT_EVERY
            }
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "who refers to bundles cannot be read; nodes keep them all"
                );
                COUNT_AGAIN_AFTER
            }
        };
        self.due = Some(Instant::now() + next);
    }
}

/// A node that was not told keeps what it has.
async fn need(shared: &Shared, agent: &Agent, needs: &Needs) {
    let said = shared.ports.nodes.need(agent, shared.seat.issuer(), needs).await;
    if let Err(err) = said {
        tracing::warn!(error = &err as &dyn std::error::Error, node = %agent.node, "a node was not told what bundles are needed");
    }
}

fn not_told(node: &NodeName, err: &nodes::Error) {
    tracing::warn!(error = err as &dyn std::error::Error, %node, "a node was not told what images are kept");
}

#[cfg(test)]
mod tests {
    use common::port::disk::Space;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn who_looks_at_a_disk_gets_no_copy_of_it() {
        let (disks, node) = (Disks::default(), "node-1".parse().unwrap());
        let space = Space { total_bytes: 1000, free_bytes: 100 };
        let (at, images, bundles) = (Timestamp::UNIX_EPOCH, Vec::new(), Vec::new());
        disks.note(&node, Some(Disk { at, space, images, bundles, bundle_space: None }));
        let (one, other) = (disks.of(&node).unwrap(), disks.of(&node).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
    }
}
