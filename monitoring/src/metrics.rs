//! Every metric of monitoring. No label is the name of an app: anybody makes those.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::metrics::register;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::domain::target::Kind;
use crate::domain::verdict::Verdict;

/// What monitoring counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `kind` and `outcome`: well, bad, unknown.
    pub(crate) looks: IntCounterVec,
    /// By `kind`.
    look_seconds: HistogramVec,
    pub(crate) round_seconds: Histogram,
    pub(crate) rounds_failed: IntCounter,
    /// By `kind` and `verdict`.
    targets: IntGaugeVec,
    /// By `kind`.
    brakes: IntGaugeVec,
    /// By `kind`.
    pub(crate) restarts: IntCounterVec,
    pub(crate) held_back: IntGauge,
    pub(crate) withdrawn: IntCounter,
    /// By `outcome`: told, `given_up`, dropped.
    notices: IntCounterVec,
    pub(crate) notices_failed: IntCounter,
    pub(crate) notices_owed: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauges = |name, help, labels: &[&str]| {
            register(&registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name, help| register(&registry, IntCounter::new(name, help));
        let gauge = |name, help| register(&registry, IntGauge::new(name, help));
        Metrics {
            looks: counters(
                "monitoring_looks_total",
                "Looks at targets, by what they found.",
                &["kind", "outcome"],
            ),
            look_seconds: look_seconds(&registry),
            round_seconds: round_seconds(&registry),
            rounds_failed: counter(
                "monitoring_failed_rounds_total",
                "Rounds that were not finished.",
            ),
            targets: gauges(
                "monitoring_targets",
                "Targets by the verdict that holds for them.",
                &["kind", "verdict"],
            ),
            brakes: gauges(
                "monitoring_brake",
                "1 while so many targets of a kind look down at once that they are not restarted.",
                &["kind"],
            ),
            restarts: counters(
                "monitoring_restarts_asked_total",
                "Restarts that were asked for.",
                &["kind"],
            ),
            held_back: gauge(
                "monitoring_restarts_held_back",
                "Restarts that are due and not asked for, because of the brake or the budget.",
            ),
            withdrawn: counter(
                "monitoring_restarts_withdrawn_total",
                "Restarts that were withdrawn before anybody was told of them.",
            ),
            notices: counters(
                "monitoring_notices_total",
                "Notices to receivers of webhooks that ended, by how.",
                &["outcome"],
            ),
            notices_failed: counter(
                "monitoring_failed_attempts_total",
                "Attempts to tell a receiver that failed.",
            ),
            notices_owed: gauge(
                "monitoring_notices_owed",
                "Notices that receivers are not told yet.",
            ),
            registry,
        }
    }

    pub(crate) fn looked(&self, kind: Kind, took: Duration) {
        self.look_seconds.with_label_values(&[kind.as_str()]).observe(took.as_secs_f64());
    }

    pub(crate) fn targets_are(&self, tally: &BTreeMap<(Kind, &'static str), usize>) {
        for kind in Kind::ALL {
            for verdict in Verdict::ALL {
                let count = tally.get(&(kind, verdict.as_str())).copied().unwrap_or_default();
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.targets.with_label_values(&[kind.as_str(), verdict.as_str()]).set(count);
            }
        }
    }

    pub(crate) fn brake_is(&self, kind: Kind, holds: bool) {
        self.brakes.with_label_values(&[kind.as_str()]).set(i64::from(holds));
    }

    pub(crate) fn notices_ended(&self, outcome: &str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.notices.with_label_values(&[outcome]).inc_by(count);
    }
}

fn look_seconds(registry: &Registry) -> HistogramVec {
    let options = HistogramOpts::new("monitoring_look_seconds", "Time that one look took.");
    register(registry, HistogramVec::new(options, &["kind"]))
}

fn round_seconds(registry: &Registry) -> Histogram {
    let about = "Time that one round took, with all that followed from it.";
    register(registry, Histogram::with_opts(HistogramOpts::new("monitoring_round_seconds", about)))
}
