//! The metrics of the apps that the edge serves: what it has counted, as it is when it is asked for. Series come and go
//! with their app.

use std::sync::{Arc, Mutex, PoisonError};

use common::port::edge::{AppTraffic, Traffic};
use prometheus::Opts;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// The buckets that are shown, in milliseconds: each is one of the edge's own, so that nothing is guessed.
const SHOWN_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

const REQUESTS: [&str; 2] = [
    "load_balancer_app_requests_total",
    "Requests that ended at the edge, by instance and class of status.",
];
const DURATION: [&str; 2] = [
    "load_balancer_app_request_duration_seconds",
    "How long requests took at the edge, by instance; without upgraded connections.",
];
const IN_FLIGHT: [&str; 2] = [
    "load_balancer_app_requests_in_flight",
    "Requests that are under way at an instance's replicas.",
];
const RECEIVED: [&str; 2] = [
    "load_balancer_app_received_bytes_total",
    "Bytes of requests that ended at the edge, heads included, by instance.",
];
const SENT: [&str; 2] = [
    "load_balancer_app_sent_bytes_total",
    "Bytes of answers that the edge sent, heads included, by instance.",
];

/// Shows what was heard last; nothing where the edge does not tell. Clones show the same.
#[derive(Debug, Clone)]
pub(crate) struct Apps {
    descs: Vec<Desc>,
    traffic: Arc<Mutex<Option<Traffic>>>,
}

impl Apps {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let desc = |[name, help]: [&str; 2], labels: &[&str]| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let Opts { const_labels, .. } = Opts::new(name, help);
            Desc::new(name.to_owned(), help.to_owned(), labels, const_labels)
        };
        let descs = vec![
            desc(REQUESTS, &["app", "status"])?,
            desc(DURATION, &["app"])?,
            desc(IN_FLIGHT, &["app"])?,
            desc(RECEIVED, &["app"])?,
            desc(SENT, &["app"])?,
        ];
        Ok(Apps { descs, traffic: Arc::default() })
    }

    pub(crate) fn show(&self, traffic: Option<Traffic>) {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner) = traffic;
    }
}

impl Collector for Apps {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let apps: Vec<(&str, &AppTraffic)> = traffic
            .iter()
            .flat_map(|traffic| &traffic.apps)
            .map(|(instance, app)| (instance.as_str(), app))
            .collect();
        if apps.is_empty() {
            return Vec::new();
        }
        let requests = apps.iter().flat_map(|(instance, app)| {
            CLASSES
                .iter()
                .zip(app.answers)
                .map(|(class, count)| counter(&[("app", instance), ("status", class)], count))
        });
        let each = |of: fn(&str, &AppTraffic) -> Metric| {
            apps.iter().map(|(instance, app)| of(instance, app)).collect()
        };
        vec![
            family(REQUESTS, MetricType::COUNTER, requests.collect()),
            family(DURATION, MetricType::HISTOGRAM, each(duration)),
            family(IN_FLIGHT, MetricType::GAUGE, each(in_flight)),
            family(
                RECEIVED,
                MetricType::COUNTER,
                each(|instance, app| counter(&[("app", instance)], app.received_bytes)),
            ),
            family(
                SENT,
                MetricType::COUNTER,
                each(|instance, app| counter(&[("app", instance)], app.sent_bytes)),
            ),
        ]
    }
}

fn family([name, help]: [&str; 2], kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn counter(labels: &[(&str, &str)], count: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(number(count));
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

fn in_flight(instance: &str, app: &AppTraffic) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(number(app.in_flight));
    let mut metric = labelled(&[("app", instance)]);
    metric.set_gauge(gauge);
    metric
}

fn duration(instance: &str, app: &AppTraffic) -> Metric {
    let bucket = |milliseconds: &u64| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(number(*milliseconds) / 1000.0);
        bucket.set_cumulative_count(app.latency.at_most(*milliseconds));
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(SHOWN_MS.iter().map(bucket).collect());
    histogram.set_sample_count(app.latency.count());
    histogram.set_sample_sum(app.latency.sum().as_secs_f64());
    let mut metric = labelled(&[("app", instance)]);
    metric.set_histogram(histogram);
    metric
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use common::port::edge::LATENCY_BOUNDS_MS;

    use super::*;

    #[test]
    fn every_bucket_that_is_shown_is_one_of_the_edges() {
        for bound in SHOWN_MS {
            assert!(LATENCY_BOUNDS_MS.contains(&bound), "{bound} ms");
        }
    }
}
