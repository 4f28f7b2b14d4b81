//! What the platform initializer needs from the world.

use std::sync::Arc;

use common::port::{Bus, Clock, Entropy, Routes, Store};

/// The ports of this service.
#[derive(Debug, Clone)]
pub struct Ports {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    /// The load balancer: services get front doors as apps do.
    pub routes: Arc<dyn Routes>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}
