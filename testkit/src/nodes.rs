//! Simulated nodes: [`MemoryNodes`].
//!
//! Each node is a [`MemoryContainers`] engine behind the rules of an agent: epochs, the ledger, the
//! refusal of other content under the same epoch and generation. A test cuts power and network,
//! loses answers, makes apps ill, and compares with what is really on the nodes.
//!
//! Crashed containers stay as they are: the agent's restarts are the agent's own tests.

mod call;
mod node;
mod port;
mod samples;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::digest::ImageRef;
use common::failure::Failure;
use common::id::Epoch;
use common::name::{ContainerName, NodeName};
use common::port::Clock;
use common::port::container::Container;
use common::port::disk::{Disk, Needs, Pin};
use common::port::nodes::{Agent, EndedIll, NodeUse, Probe};
use common::service::ServiceName;

use crate::containers::{MemoryContainers, MemoryRegistry};

pub use call::Call;
use node::Node;

/// How a node can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    #[default]
    Up,
    /// Without power: its containers do not run.
    Dead,
    /// Its containers run, but nobody reaches its agent: calls fail.
    Partitioned,
    /// Its containers run, but its agent never answers: calls wait for their deadline.
    Hung,
}

/// Nodes in memory. Clones are the same nodes.
#[derive(Debug, Clone)]
pub struct MemoryNodes {
    clock: Arc<dyn Clock>,
    registry: MemoryRegistry,
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct World {
    nodes: BTreeMap<NodeName, Node>,
    calls: Vec<Call>,
    probes: BTreeMap<ImageRef, VecDeque<Probe>>,
    sample_period: Option<Duration>,
}

impl MemoryNodes {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        MemoryNodes { clock, registry: MemoryRegistry::default(), world: Arc::default() }
    }

    /// Adds a node that is up, at an address of 192.0.2.0/24.
    pub fn add(&self, name: &str) -> Agent {
        let node: NodeName = name.parse().expect("a test names its nodes well");
        let mut world = self.world();
        let host = u8::try_from(world.nodes.len() + 1).expect("a test has fewer than 255 nodes");
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 7443);
        let agent = Agent { node: node.clone(), address };
        let engine = MemoryContainers::new(Arc::clone(&self.clock), self.registry.clone());
        world.nodes.insert(node, Node::new(agent.clone(), engine));
        agent
    }

    /// Cuts or restores power and network. A node that gets its power back brings its ledger back.
    pub async fn set_reach(&self, node: &NodeName, reach: Reach) {
        let (before, engine) = self
            .with(node, |node| (std::mem::replace(&mut node.reach, reach), node.engine.clone()));
        if reach == Reach::Dead {
            engine.reboot();
        }
        if before == Reach::Dead && reach != Reach::Dead {
            let ledger = self.with(node, |node| node.ledger.clone());
            for told in ledger.values() {
                node::bring_back(&engine, told).await;
            }
        }
    }

    /// What the agent does about containers that ended: all that it was told of run again.
    pub async fn restart_ended(&self, node: &NodeName) {
        let (reach, engine, ledger) =
            self.with(node, |node| (node.reach, node.engine.clone(), node.ledger.clone()));
        if reach == Reach::Dead {
            return;
        }
        for told in ledger.values() {
            node::bring_back(&engine, told).await;
        }
    }

    /// How often nodes send samples; without it ten times a second.
    pub fn set_sample_period(&self, period: Duration) {
        self.world().sample_period = Some(period);
    }

    /// From now on every node can pull the image.
    pub fn offer_image(&self, image: &ImageRef) {
        self.registry.offer(image);
    }

    /// From now on no node can pull the image.
    pub fn withdraw_image(&self, image: &ImageRef) {
        self.registry.withdraw(image);
    }

    /// What looks at containers of this image find while they run: these in turn, then the last one
    /// again and again. Without it they are healthy.
    pub fn script_probes(&self, image: &ImageRef, probes: impl IntoIterator<Item = Probe>) {
        self.world().probes.insert(image.clone(), probes.into_iter().collect());
    }

    /// The next `count` calls that change something have their effect, and their answer is lost.
    pub fn lose_answers(&self, node: &NodeName, count: u32) {
        self.with(node, |node| node.lost_answers = count);
    }

    /// The next call that changes something fails with this, without effect.
    pub fn fail_next(&self, node: &NodeName, failure: Failure) {
        self.with(node, |node| node.failures.push_back(failure));
    }

    /// The node's container engine, for ports that others hold, exits and output.
    pub fn engine(&self, node: &NodeName) -> MemoryContainers {
        self.with(node, |node| node.engine.clone())
    }

    /// What the node measures about itself; what its containers' limits promise away is added.
    pub fn set_use(&self, node: &NodeName, measured: NodeUse) {
        self.with(node, |node| node.measured = measured);
    }

    /// What a container takes of its own limits, in percent.
    pub fn set_container_use(&self, node: &NodeName, name: &ContainerName, cpu: f64, memory: f64) {
        self.with(node, |node| node.uses.insert(name.clone(), (cpu, memory)));
    }

    /// How many of the agent's own looks at a container have failed in a row: they follow no script.
    pub fn set_failed_looks(&self, node: &NodeName, name: &ContainerName, count: u32) {
        self.with(node, |node| node.failed_looks.insert(name.clone(), count));
    }

    /// The last run of a container that the agent ended because it was ill.
    pub fn set_ended_ill(&self, node: &NodeName, name: &ContainerName, ended: EndedIll) {
        self.with(node, |node| node.ended_ill.insert(name.clone(), ended));
    }

    /// The containers that are really on a node, reachable or not, sorted by name.
    pub fn containers(&self, node: &NodeName) -> Vec<Container> {
        self.engine(node).containers()
    }

    /// What a node says of its disk from now on; before this, it says nothing.
    pub fn set_disk(&self, node: &NodeName, disk: Disk) {
        self.with(node, |node| node.disk = Some(disk));
    }

    /// The images that a node was last told to keep.
    pub fn pins(&self, node: &NodeName) -> Vec<Pin> {
        self.with(node, |node| node.pins.clone())
    }

    /// What a node was last told of its bundles.
    pub fn needs(&self, node: &NodeName) -> Option<Needs> {
        self.with(node, |node| node.needs.clone())
    }

    /// The highest epoch of a service that a node has heard.
    pub fn seen_epoch(&self, node: &NodeName, service: ServiceName) -> Option<Epoch> {
        self.with(node, |node| node.epochs.get(&service).copied())
    }

    /// All calls so far, in order, reached or not; streams count when they are opened.
    pub fn calls(&self) -> Vec<Call> {
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
