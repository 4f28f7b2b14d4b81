//! Every metric of the deployment manager.

use chassis::metrics::register;
use common::record::deployment::Goal;
use common::record::operation::Outcome;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// What the deployment manager counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// By `goal` (running, stopped) and `code` (SUCCEEDED, or why not).
    requests: IntCounterVec,
    /// By `step`.
    steps: HistogramVec,
    /// By `goal`.
    durations: HistogramVec,
    pub(crate) swept: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let requests = Opts::new(
            "deployment_manager_requests_total",
            "Requests to deploy or stop that ended, by what was asked and how it ended.",
        );
        let steps = HistogramOpts::new(
            "deployment_manager_step_seconds",
            "How long the steps of deployments took.",
        );
        let durations = HistogramOpts::new(
            "deployment_manager_request_seconds",
            "From the acceptance of a request to its success.",
        );
        let scale = vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
        let steps = HistogramVec::new(steps.buckets(scale.clone()), &["step"]);
        let durations = HistogramVec::new(durations.buckets(scale), &["goal"]);
        let swept = IntCounter::new(
            "deployment_manager_swept_containers_total",
            "Containers that nobody wanted and that were removed.",
        );
        Metrics {
            requests: register(&registry, IntCounterVec::new(requests, &["goal", "code"])),
            steps: register(&registry, steps),
            durations: register(&registry, durations),
            swept: register(&registry, swept),
            registry,
        }
    }

    /// A request ended.
    pub(crate) fn ended(&self, goal: Goal, outcome: &Outcome) {
        let code = match outcome {
            Outcome::Succeeded { .. } => "SUCCEEDED",
            Outcome::Failed { failure, .. } => failure.code.as_str(),
            Outcome::Superseded => "SUPERSEDED",
        };
        self.requests.with_label_values(&[label(goal), code]).inc();
    }

    /// A request succeeded this many seconds after it was accepted.
    pub(crate) fn took(&self, goal: Goal, seconds: f64) {
        self.durations.with_label_values(&[label(goal)]).observe(seconds);
    }

    pub(crate) fn stepped(&self, step: &str, seconds: f64) {
        self.steps.with_label_values(&[step]).observe(seconds);
    }
}

fn label(goal: Goal) -> &'static str {
    match goal {
        Goal::Running => "running",
        Goal::Stopped => "stopped",
    }
}
