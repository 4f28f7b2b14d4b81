//! What the nodes' samples say right now. Forgotten when the service ends; a new one listens anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::name::NodeName;
use common::port::nodes::{NodeUse, Sample};
use tokio::time::Instant;

use crate::domain::liveness::{Heard, Thresholds};

/// Over how many samples the processor's use is averaged: it jumps, memory and disk do not.
const AVERAGED: usize = 10;

/// The pulse of every node.
#[derive(Debug)]
pub(crate) struct Heartbeats {
    thresholds: Thresholds,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Since when nothing kept this process from hearing.
    listening_since: Instant,
    last_tick: Instant,
    pulses: BTreeMap<NodeName, Pulse>,
}

#[derive(Debug, Default)]
struct Pulse {
    latest: Option<(Instant, Sample)>,
    /// When the samples began to come without a gap.
    steady_since: Option<Instant>,
    processor: VecDeque<f64>,
    deaths: Vec<Instant>,
}

impl Heartbeats {
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        let now = Instant::now();
        let inner = Inner { listening_since: now, last_tick: now, pulses: BTreeMap::new() };
        Heartbeats { thresholds, inner: Mutex::new(inner) }
    }

    pub(crate) fn thresholds(&self) -> &Thresholds {
        &self.thresholds
    }

    /// To be called all the time: a pause in between means that this process was stopped, and that
    /// what it did not hear meanwhile is nobody's silence.
    pub(crate) fn tick(&self) {
        let now = Instant::now();
        let mut inner = self.lock();
        if now.duration_since(inner.last_tick) >= self.thresholds.suspect_after {
            tracing::warn!("this process was stopped for a while; listening to the nodes anew");
            inner.listening_since = now;
        }
        inner.last_tick = now;
    }

    pub(crate) fn note(&self, node: &NodeName, sample: Sample) {
        let now = Instant::now();
        let mut inner = self.lock();
        let pulse = inner.pulses.entry(node.clone()).or_default();
        let gap = pulse.latest.as_ref().map(|(at, _)| now.duration_since(*at));
        if gap.is_none_or(|gap| gap >= self.thresholds.suspect_after) {
            pulse.steady_since = Some(now);
            pulse.processor.clear();
        }
        if pulse.processor.len() == AVERAGED {
            pulse.processor.pop_front();
        }
        pulse.processor.push_back(sample.node.cpu_percent);
        pulse.latest = Some((now, sample));
    }

    /// The node was declared dead.
    pub(crate) fn died(&self, node: &NodeName) {
        let now = Instant::now();
        self.lock().pulses.entry(node.clone()).or_default().deaths.push(now);
    }

    pub(crate) fn heard(&self, node: &NodeName) -> Heard {
        let now = Instant::now();
        let mut inner = self.lock();
        let listening = now.duration_since(inner.listening_since);
        let pulse = inner.pulses.entry(node.clone()).or_default();
        pulse.deaths.retain(|at| now.duration_since(*at) < self.thresholds.hold_down);
        let latest = pulse.latest.as_ref().map(|(at, _)| *at);
        let steady = latest.zip(pulse.steady_since).map(|(at, since)| at.duration_since(since));
        Heard {
            listening,
            silent: latest.map(|at| now.duration_since(at)),
            steady: steady.unwrap_or_default(),
            deaths: pulse.deaths.len(),
        }
    }

    /// The last sample, the processor's use averaged over the last few.
    pub(crate) fn latest(&self, node: &NodeName) -> Option<Sample> {
        self.latest_within(node, Duration::MAX)
    }

    /// The last sample, if the node is not silent.
    pub(crate) fn fresh(&self, node: &NodeName) -> Option<Sample> {
        self.latest_within(node, self.thresholds.suspect_after)
    }

    fn latest_within(&self, node: &NodeName, age: Duration) -> Option<Sample> {
        let now = Instant::now();
        let inner = self.lock();
        let pulse = inner.pulses.get(node)?;
        let (_, sample) = pulse.latest.as_ref().filter(|(at, _)| now.duration_since(*at) < age)?;
        let cpu_percent = mean(&pulse.processor).unwrap_or(sample.node.cpu_percent);
        Some(Sample { node: NodeUse { cpu_percent, ..sample.node }, ..sample.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mean(values: &VecDeque<f64>) -> Option<f64> {
    let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(values.iter().sum::<f64>() / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeats() -> (Heartbeats, NodeName) {
        let thresholds = Thresholds {
            suspect_after: Duration::from_secs(2),
            dead_after: Duration::from_secs(6),
            hold_down: Duration::from_mins(1),
        };
        (Heartbeats::new(thresholds), "node-1".parse().unwrap())
    }

    fn sample(cpu_percent: f64) -> Sample {
        let node = NodeUse {
            cpu_percent,
            memory_percent: 0.0,
            disk_percent: 0.0,
            memory_total_bytes: 1,
            cpu_millis_total: 1,
            memory_promised_bytes: 0,
            cpu_millis_promised: 0,
        };
        Sample { at: "2026-01-01T00:00:00Z".parse().unwrap(), node, containers: Vec::new() }
    }

    async fn wait(milliseconds: u64) {
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_in_the_samples_ends_steadiness() {
        let (heartbeats, node) = heartbeats();
        assert_eq!(heartbeats.heard(&node).silent, None);
        for _ in 0..3 {
            heartbeats.note(&node, sample(0.0));
            wait(1000).await;
        }
        let heard = heartbeats.heard(&node);
        assert_eq!((heard.steady.as_secs(), heard.silent), (2, Some(Duration::from_secs(1))));
        assert!(heartbeats.fresh(&node).is_some());
        wait(1000).await;
        assert!(heartbeats.fresh(&node).is_none());
        heartbeats.note(&node, sample(0.0));
        assert_eq!(heartbeats.heard(&node).steady, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_process_listens_anew() {
        let (heartbeats, node) = heartbeats();
        wait(1000).await;
        heartbeats.tick();
        assert_eq!(heartbeats.heard(&node).listening.as_secs(), 1);
        wait(30_000).await;
        heartbeats.tick();
        assert_eq!(heartbeats.heard(&node).listening, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn deaths_are_counted_for_the_hold_down() {
        let (heartbeats, node) = heartbeats();
        heartbeats.died(&node);
        wait(59_000).await;
        heartbeats.died(&node);
        assert_eq!(heartbeats.heard(&node).deaths, 2);
        wait(1000).await;
        assert_eq!(heartbeats.heard(&node).deaths, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_processors_use_is_averaged() {
        let (heartbeats, node) = heartbeats();
        for cpu_percent in [0.0; 5].into_iter().chain([100.0; 5]) {
            heartbeats.note(&node, sample(cpu_percent));
        }
        let cpu_percent = heartbeats.latest(&node).unwrap().node.cpu_percent;
        assert!((cpu_percent - 50.0).abs() < 1e-9);
    }
}
