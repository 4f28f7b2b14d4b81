//! Every metric of the platform initializer.

use chassis::metrics::register;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// What the platform initializer counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `goal` (on, off) and `outcome` (SUCCEEDED, SUPERSEDED, or why not).
    pub(crate) requests: IntCounterVec,
    /// By `service`: instances that are ready.
    pub(crate) ready: IntGaugeVec,
    /// By `step`.
    pub(crate) steps: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        Metrics {
            requests: counters(
                "platform_initializer_requests_total",
                "Requests to start or stop the platform that ended, by how.",
                &["goal", "outcome"],
            ),
            steps: counters(
                "platform_initializer_steps_total",
                "Steps that were taken, by which.",
                &["step"],
            ),
            ready: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "platform_initializer_ready_instances",
                        "Instances of platform services that are ready.",
                    ),
                    &["service"],
                ),
            ),
            registry,
        }
    }
}
