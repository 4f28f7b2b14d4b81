//! Every metric of the node manager.

use chassis::metrics::register;
use common::name::NodeName;
use common::port::nodes::NodeUse;
use common::record::node::Verdict;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::domain::load::Alert;

/// What the node manager counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `node` and `verdict`.
    verdicts: IntGaugeVec,
    /// By `node` and `resource`.
    used: GaugeVec,
    /// By `node` and `resource`.
    alerts: IntGaugeVec,
    /// By `node`.
    pub(crate) samples: IntCounterVec,
    /// By `node`.
    pub(crate) streams_lost: IntCounterVec,
    /// By `outcome`: `placed`, or a failure code.
    pub(crate) placements: IntCounterVec,
    pub(crate) placement_seconds: Histogram,
    pub(crate) placements_waiting: IntGauge,
    /// By `node` and `state`: held, quarantined.
    pub(crate) leases: IntGaugeVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let gauges = |name, help, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counters = |name, help, label| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        let seconds = HistogramOpts::new(
            "node_manager_placement_seconds",
            "Time from a request for a node to its answer.",
        );
        Metrics {
            verdicts: gauges(
                "node_manager_node_verdict",
                "1 for the verdict that holds for a node, 0 for the others.",
                &["node", "verdict"],
            ),
            used: register(
                &registry,
                GaugeVec::new(
                    Opts::new("node_manager_node_used_percent", "Measured use of a node."),
                    &["node", "resource"],
                ),
            ),
            alerts: gauges(
                "node_manager_node_alert",
                "1 while a node has too little of a resource left.",
                &["node", "resource"],
            ),
            samples: counters("node_manager_samples_total", "Samples heard of a node.", "node"),
            streams_lost: counters(
                "node_manager_sample_streams_lost_total",
                "Streams of samples that ended or fell silent.",
                "node",
            ),
            placements: counters(
                "node_manager_placements_total",
                "Requests for a node that were answered, by outcome.",
                "outcome",
            ),
            placement_seconds: register(&registry, Histogram::with_opts(seconds)),
            placements_waiting: register(
                &registry,
                IntGauge::new(
                    "node_manager_waiting_placements",
                    "Requests for a node that are not answered yet.",
                ),
            ),
            leases: gauges(
                "node_manager_port_leases",
                "Host ports that are held, or kept back after use.",
                &["node", "state"],
            ),
            registry,
        }
    }

    pub(crate) fn verdict_is(&self, node: &NodeName, verdict: Verdict) {
        for each in [Verdict::Live, Verdict::Suspect, Verdict::Dead, Verdict::Draining] {
            let labels = [node.as_str(), verdict_name(each)];
            self.verdicts.with_label_values(&labels).set(i64::from(each == verdict));
        }
    }

    pub(crate) fn used(&self, node: &NodeName, used: &NodeUse) {
        let resources = [
            (Alert::Cpu, used.cpu_percent),
            (Alert::Memory, used.memory_percent),
            (Alert::Disk, used.disk_percent),
        ];
        for (resource, percent) in resources {
            self.used.with_label_values(&[node.as_str(), resource.as_str()]).set(percent);
        }
    }

    pub(crate) fn alert_is(&self, node: &NodeName, alert: Option<Alert>) {
        for each in Alert::ALL {
            let labels = [node.as_str(), each.as_str()];
            self.alerts.with_label_values(&labels).set(i64::from(alert == Some(each)));
        }
    }
}

/// The verdict's name, as records, metrics and answers carry it.
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Live => "live",
        Verdict::Suspect => "suspect",
        Verdict::Dead => "dead",
        Verdict::Draining => "draining",
    }
}
