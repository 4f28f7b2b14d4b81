//! What the app manager needs from the world.

use std::sync::Arc;

use common::port::{
    Blobs, Bus, Certificates, Clock, Drains, Entropy, Nodes, Routes, Store, Upkeep,
};

/// The ports, as the binary connects them.
#[derive(Debug, Clone)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub bus: Arc<dyn Bus>,
    /// Uploaded bundles.
    pub blobs: Arc<dyn Blobs>,
    /// For the output of apps.
    pub nodes: Arc<dyn Nodes>,
    /// Of host names: the load balancer keeps them.
    pub certificates: Arc<dyn Certificates>,
    /// For what visitors ask of apps: the load balancer hears it.
    pub routes: Arc<dyn Routes>,
    /// For what people ask of machines, and what they have restarted: the lifecycle manager's to do.
    pub upkeep: Arc<dyn Upkeep>,
    /// Of nodes: the node manager keeps them.
    pub drains: Arc<dyn Drains>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}
