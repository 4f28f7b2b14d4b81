//! What the deployment manager needs from the world.

use std::sync::Arc;

use common::port::{Blobs, Bus, Clock, Nodes, Routes, Store};

/// The ports of this service.
#[derive(Debug, Clone)]
pub struct Ports {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    /// The bundles that images are built from.
    pub blobs: Arc<dyn Blobs>,
    pub nodes: Arc<dyn Nodes>,
    pub routes: Arc<dyn Routes>,
    pub clock: Arc<dyn Clock>,
}
