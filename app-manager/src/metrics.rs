//! Every metric of the app manager.

use chassis::metrics::register;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// What the app manager counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `result`: released, repeated, refused.
    pub(crate) uploads: IntCounterVec,
    pub(crate) upload_bytes: IntCounter,
    pub(crate) check_seconds: Histogram,
    /// By `kind`: deploy, rollback, promote, scale, stop, schedule, unschedule; and `result`: accepted, repeated, refused.
    pub(crate) requests: IntCounterVec,
    /// By `kind` of the event, and `effect`: applied, adopted, concluded, repeated, none, conflict.
    pub(crate) events: IntCounterVec,
    /// By `result`: ok, wrong, throttled, failed.
    pub(crate) sign_ins: IntCounterVec,
    /// Of schedules, by `what` was done: started, ended, skipped.
    pub(crate) windows: IntCounterVec,
    pub(crate) published: IntCounter,
    pub(crate) publish_failures: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let counter = |name, help| register(&registry, IntCounter::new(name, help));
        let seconds = HistogramOpts::new(
            "app_manager_bundle_check_seconds",
            "Time to check an uploaded archive.",
        );
        Metrics {
            uploads: counters(
                "app_manager_uploads_total",
                "Uploads, by what became of them.",
                &["result"],
            ),
            upload_bytes: counter("app_manager_upload_bytes_total", "Bytes that were uploaded."),
            check_seconds: register(&registry, Histogram::with_opts(seconds)),
            requests: counters(
                "app_manager_requests_total",
                "Requests to deploy, go back, scale, stop, schedule or unschedule.",
                &["kind", "result"],
            ),
            events: counters(
                "app_manager_events_total",
                "Messages heard on first_topic.",
                &["kind", "effect"],
            ),
            sign_ins: counters("app_manager_sign_ins_total", "Attempts to sign in.", &["result"]),
            windows: counters(
                "app_manager_schedule_windows_total",
                "Windows of schedules that were started, ended, or passed unseen.",
                &["what"],
            ),
            published: counter("app_manager_messages_published_total", "Messages the bus took."),
            publish_failures: counter(
                "app_manager_publish_failures_total",
                "Times the bus did not take owed messages.",
            ),
            registry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let metrics = Metrics::new();
        metrics.sign_ins.with_label_values(&["ok"]).inc();
        assert!(metrics.registry.gather().len() >= 5);
    }
}
