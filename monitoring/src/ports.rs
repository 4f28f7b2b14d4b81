//! What monitoring needs from the world.

use std::sync::Arc;

use common::port::{Bus, Clock, Entropy, Probes, Routes, Store, Webhooks};

/// The ports of this service.
#[derive(Debug, Clone)]
pub struct Ports {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    /// How services are looked at.
    pub probes: Arc<dyn Probes>,
    /// Only to ask apps through their front door.
    pub routes: Arc<dyn Routes>,
    pub webhooks: Arc<dyn Webhooks>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}
