//! What the load balancer needs from the world.

use std::sync::Arc;

use common::port::{Bus, Clock, Edge, EdgeCertificates, Nodes, OtherEdge, PublicAuthority, Store};

/// The ports of this service.
#[derive(Debug, Clone)]
pub struct Ports {
    pub bus: Arc<dyn Bus>,
    pub store: Arc<dyn Store>,
    pub edge: Arc<dyn Edge>,
    /// Of the same edge.
    pub certificates: Arc<dyn EdgeCertificates>,
    /// The load balancer beside the other edge, where there is a pair.
    pub other: Option<Arc<dyn OtherEdge>>,
    /// Who makes the certificates that nobody gives, if anybody does.
    pub authority: Option<Arc<dyn PublicAuthority>>,
    /// Only for their samples.
    pub nodes: Arc<dyn Nodes>,
    pub clock: Arc<dyn Clock>,
}
