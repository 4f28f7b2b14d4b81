//! Every metric of the load balancer.

mod apps;

use chassis::metrics::register;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use apps::Apps;

/// What the load balancer counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) routes: IntGauge,
    pub(crate) routes_refused: IntGauge,
    pub(crate) replicas_left_out: IntGauge,
    pub(crate) front_ports_leased: IntGauge,
    pub(crate) edge_up: IntGauge,
    pub(crate) other_edge_up: IntGauge,
    pub(crate) other_edge_refused: IntGauge,
    pub(crate) table_generation: IntGauge,
    pub(crate) edge_damage: IntCounter,
    pub(crate) certificates: IntGauge,
    pub(crate) certificates_left_out: IntGauge,
    /// By `result`: made, failed.
    pub(crate) orders: IntCounterVec,
    /// By `result`: loaded, failed.
    pub(crate) table_loads: IntCounterVec,
    /// By `end`: idle, deadline.
    pub(crate) drains: IntCounterVec,
    /// By `outcome`: succeeded, failed, superseded.
    pub(crate) scales: IntCounterVec,
    pub(crate) balanced_apps: IntGauge,
    /// By `kind`, `common::record::scale::DecisionKind`.
    pub(crate) decisions: IntCounterVec,
    pub(crate) balance_cycle_seconds: Histogram,
    pub(crate) apps: Apps,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        let counters = |name, help, label| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        Metrics {
            routes: gauge("load_balancer_routes", "Routes in the table the edge serves."),
            routes_refused: gauge(
                "load_balancer_refused_routes",
                "Routes kept out of the table because they collide or their port is closed.",
            ),
            replicas_left_out: replicas_left_out(&registry),
            front_ports_leased: gauge(
                "load_balancer_front_port_leases",
                "Front ports that are in use or kept back.",
            ),
            edge_up: gauge("load_balancer_edge_up", "1 while the edge answers."),
            other_edge_up: other_edge_up(&registry),
            other_edge_refused: other_edge_refused(&registry),
            table_generation: gauge(
                "load_balancer_table_generation",
                "Generation of the table the edge serves, within this epoch.",
            ),
            edge_damage: edge_damage(&registry),
            certificates: gauge("load_balancer_certificates", "Certificates that the edge shows."),
            certificates_left_out: certificates_left_out(&registry),
            orders: counters(
                "load_balancer_certificate_orders_total",
                "Orders at the public authority that ended, by result.",
                "result",
            ),
            table_loads: counters(
                "load_balancer_table_loads_total",
                "Tables offered to the edge.",
                "result",
            ),
            drains: counters(
                "load_balancer_drained_replicas_total",
                "Replicas that left a route, by what ended the wait.",
                "end",
            ),
            scales: counters(
                "load_balancer_scales_total",
                "Scale requests that ended, by outcome.",
                "outcome",
            ),
            balanced_apps: gauge(
                "load_balancer_balanced_apps",
                "Instances whose number of replicas follows their load.",
            ),
            decisions: counters(
                "load_balancer_decisions_total",
                "Numbers of replicas that were decided on, by why.",
                "kind",
            ),
            balance_cycle_seconds: balance_cycle(&registry),
            apps: register(&registry, Apps::new()),
            registry,
        }
    }
}

fn replicas_left_out(registry: &Registry) -> IntGauge {
    let help = "Replicas that get no requests because their nodes' agents found them ill.";
    register(registry, IntGauge::new("load_balancer_left_out_replicas", help))
}

fn other_edge_up(registry: &Registry) -> IntGauge {
    let help = "1 while the other edge of a pair answers whoever leads.";
    register(registry, IntGauge::new("load_balancer_other_edge_up", help))
}

fn other_edge_refused(registry: &Registry) -> IntGauge {
    let help = "Routes kept out of the table of the other edge of a pair.";
    register(registry, IntGauge::new("load_balancer_other_edge_refused_routes", help))
}

fn certificates_left_out(registry: &Registry) -> IntGauge {
    let help = "Certificates whose key cannot be opened.";
    register(registry, IntGauge::new("load_balancer_certificates_left_out", help))
}

fn balance_cycle(registry: &Registry) -> Histogram {
    let name = "load_balancer_balance_cycle_seconds";
    let help = "How long one look at all balanced instances takes.";
    let buckets = vec![0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
    register(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)))
}

fn edge_damage(registry: &Registry) -> IntCounter {
    let name = "load_balancer_edge_damaged_files_total";
    let help = "Files of the edge that it could not read when it started.";
    register(registry, IntCounter::new(name, help))
}
