//! Nodes that run parts of the platform, simulated: [`MemoryParts`].
//!
//! Each node is a [`MemoryPartContainers`] engine behind the rules of an agent: epochs, generations, the ledger. A test
//! cuts power and network, loses answers, makes parts ill, and compares with what is really on the nodes. Parts that
//! crashed stay as they are: the agent's restarts are the agent's own tests.

mod call;
mod node;
mod port;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::failure::Failure;
use common::id::Epoch;
use common::name::{NodeName, PartName};
use common::port::Clock;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartSpec};

use crate::containers::MemoryRegistry;
use crate::nodes::Reach;
use crate::part_containers::MemoryPartContainers;

pub use call::PartCall;
use node::Node;

/// Nodes and their parts in memory. Clones are the same nodes.
#[derive(Debug, Clone)]
pub struct MemoryParts {
    clock: Arc<dyn Clock>,
    registry: MemoryRegistry,
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct World {
    nodes: BTreeMap<NodeName, Node>,
    calls: Vec<PartCall>,
}

impl MemoryParts {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        MemoryParts { clock, registry: MemoryRegistry::default(), world: Arc::default() }
    }

    /// Adds a node that is up, at an address of 192.0.2.0/24.
    pub fn add(&self, name: &str) -> Agent {
        let host = u8::try_from(self.world().nodes.len() + 1);
        let host = host.expect("a test has fewer than 255 nodes");
        self.add_at(name, [192, 0, 2, host].into())
    }

    /// Adds a node that is up, at this address.
    pub fn add_at(&self, name: &str, ip: IpAddr) -> Agent {
        let node: NodeName = name.parse().expect("a test names its nodes well");
        let agent = Agent { node: node.clone(), address: SocketAddr::new(ip, 7443) };
        let engine = MemoryPartContainers::new(Arc::clone(&self.clock), self.registry.clone());
        self.world().nodes.insert(node, Node::new(agent.clone(), engine));
        agent
    }

    /// Cuts or restores power and network. A node that gets its power back brings its ledger back.
    pub async fn set_reach(&self, node: &NodeName, reach: Reach) {
        let (before, engine, ledger) = self.with(node, |node| {
            let before = std::mem::replace(&mut node.reach, reach);
            (before, node.engine.clone(), node.ledger.clone())
        });
        if reach == Reach::Dead {
            engine.reboot();
        }
        if before == Reach::Dead && reach != Reach::Dead {
            for told in ledger.values() {
                // What cannot be brought back stays away, as on a real node.
                drop(node::make_run(&engine, told.epoch, &told.spec).await);
            }
        }
    }

    /// How long each call to a node takes before it has its effect; nothing without it.
    pub fn set_delay(&self, node: &NodeName, delay: Duration) {
        self.with(node, |node| node.delay = delay);
    }

    /// The next `count` calls that change something have their effect, and their answer is lost.
    pub fn lose_answers(&self, node: &NodeName, count: u32) {
        self.with(node, |node| node.lost_answers = count);
    }

    /// The next call that changes something fails with this, without effect.
    pub fn fail_next(&self, node: &NodeName, failure: Failure) {
        self.with(node, |node| node.failures.push_back(failure));
    }

    /// What looks at a part find while it runs, from now on; all parts are healthy without it.
    pub fn set_healthy(&self, node: &NodeName, part: &PartName, healthy: bool) {
        self.with(node, |node| node.health.insert(part.clone(), healthy));
    }

    /// The member of an ensemble on this node answers and takes no part from now on, or does again.
    pub fn set_apart(&self, node: &NodeName, part: &PartName, apart: bool) {
        self.with(node, |node| {
            if apart { node.apart.insert(part.clone()) } else { node.apart.remove(part) }
        });
    }

    /// The image is on this node: it was loaded there.
    pub fn place_image(&self, node: &NodeName, image: &PartImage) {
        self.engine(node).place_image(image);
    }

    /// What nodes fetch images from.
    pub fn registry(&self) -> &MemoryRegistry {
        &self.registry
    }

    /// The node's container engine, for exits, output and names that others hold.
    pub fn engine(&self, node: &NodeName) -> MemoryPartContainers {
        self.with(node, |node| node.engine.clone())
    }

    /// The parts that are really on a node, reachable or not, sorted by name.
    pub fn parts_of(&self, node: &NodeName) -> Vec<Part> {
        self.with(node, |node| node.told(node.engine.parts()))
    }

    /// What a node was told last of a part that should run.
    pub fn told(&self, node: &NodeName, part: &PartName) -> Option<PartSpec> {
        self.with(node, |node| node.ledger.get(part).map(|told| told.spec.clone()))
    }

    /// Where a node was told that the registry is.
    pub fn told_registry(&self, node: &NodeName) -> Option<SocketAddr> {
        self.with(node, |node| node.registry)
    }

    /// A leader announces itself to a node in another way, as [`common::port::Nodes::announce`] does.
    pub fn hear(&self, node: &NodeName, issuer: Issuer) -> Result<(), Error> {
        self.with(node, |node| node.admit(issuer))
    }

    /// The highest epoch of the lifecycle manager that a node has heard.
    pub fn seen_epoch(&self, node: &NodeName) -> Option<Epoch> {
        self.with(node, |node| node.epochs.values().next_back().copied())
    }

    /// All calls so far, in order, reached or not.
    pub fn calls(&self) -> Vec<PartCall> {
        self.world().calls.clone()
    }

    pub fn forget_calls(&self) {
        self.world().calls.clear();
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, node: &NodeName, look: impl FnOnce(&mut Node) -> T) -> T {
        look(self.world().nodes.get_mut(node).expect("a test adds a node before it uses it"))
    }
}
