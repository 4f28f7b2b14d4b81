//! What the node manager needs from the world.

use std::sync::Arc;

use common::port::{Bus, Clock, Entropy, Nodes, Store};

/// The ports of this service.
#[derive(Debug, Clone)]
pub struct Ports {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    /// For their samples and their disks.
    pub nodes: Arc<dyn Nodes>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}
