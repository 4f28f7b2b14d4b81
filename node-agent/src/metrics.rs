//! What the agent counts.

use chassis::metrics::register;
use common::port::nodes::Issuer;
use prometheus::{IntCounterVec, Opts, Registry};

#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `service`.
    refused: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let refused = Opts::new(
            "agent_stale_orders_refused_total",
            "Orders of leaders that others had followed, by the service that they led.",
        );
        let refused = register(&registry, IntCounterVec::new(refused, &["service"]));
        Metrics { registry, refused }
    }

    pub(crate) fn refused(&self, issuer: Issuer) {
        self.refused.with_label_values(&[issuer.service.as_str()]).inc();
    }
}
