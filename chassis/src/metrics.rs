//! Registering a service's metrics.

use prometheus::Registry;
use prometheus::core::Collector;

/// A metric that the registry shows. Names and labels are constants of the service: that they are
/// well formed and that no name stands twice is seen by the first test that makes them.
pub fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: Result<C, prometheus::Error>,
) -> C {
    let metric = metric.expect("names and labels are constants of the right form");
    registry.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}
