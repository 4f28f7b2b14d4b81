//! Stopping, liveness and readiness of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a loop may stay silent before `/health` says no.
const SILENCE: Duration = Duration::from_secs(30);

/// What a running service is told, and what it tells about itself. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    conditions: BTreeMap<&'static str, Result<(), String>>,
    beats: BTreeMap<&'static str, Instant>,
}

impl Lifecycle {
    pub fn new() -> Self {
        Lifecycle::default()
    }

    /// Completes when the process should stop. Stop taking work, finish what is half done, return.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Registers a condition of readiness; it does not hold until it is said to.
    pub fn condition(&self, name: &'static str) -> Condition {
        self.with(|told| told.conditions.insert(name, Err("not yet".to_owned())));
        Condition { name, lifecycle: self.clone() }
    }

    /// Registers a loop that must beat at least every 30 s.
    pub fn beat(&self, name: &'static str) -> Beat {
        let beat = Beat { name, lifecycle: self.clone() };
        beat.now();
        beat
    }

    /// Every condition with why it does not hold, if it does not.
    pub fn readiness(&self) -> BTreeMap<&'static str, Result<(), String>> {
        self.with(|told| told.conditions.clone())
    }

    pub fn is_ready(&self) -> bool {
        self.with(|told| told.conditions.values().all(Result::is_ok)) && !self.is_stopping()
    }

    /// The loops that have been silent for too long.
    pub fn silent_loops(&self) -> Vec<&'static str> {
        let now = Instant::now();
        self.with(|told| {
            let silent = |at: &Instant| now.duration_since(*at) > SILENCE;
            told.beats.iter().filter(|(_, at)| silent(at)).map(|(name, _)| *name).collect()
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One condition of readiness.
#[derive(Debug, Clone)]
pub struct Condition {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Condition {
    pub fn holds(&self) {
        self.lifecycle.with(|told| told.conditions.insert(self.name, Ok(())));
    }

    /// `why` is shown to people at `/readyz?verbose`.
    pub fn fails(&self, why: impl Into<String>) {
        self.lifecycle.with(|told| told.conditions.insert(self.name, Err(why.into())));
    }
}

/// A loop's sign of life.
#[derive(Debug, Clone)]
pub struct Beat {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Beat {
    pub fn now(&self) {
        self.lifecycle.with(|told| told.beats.insert(self.name, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_falls_silent_is_named() {
        let lifecycle = Lifecycle::new();
        let beat = lifecycle.beat("consumer");
        tokio::time::advance(SILENCE).await;
        assert!(lifecycle.silent_loops().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(lifecycle.silent_loops(), ["consumer"]);
        beat.now();
        assert!(lifecycle.silent_loops().is_empty());
    }

    #[test]
    fn ready_means_every_condition_holds() {
        let lifecycle = Lifecycle::new();
        let store = lifecycle.condition("store");
        assert!(!lifecycle.is_ready());
        store.holds();
        assert!(lifecycle.is_ready());
        store.fails("the connection is lost");
        assert_eq!(lifecycle.readiness()["store"], Err("the connection is lost".to_owned()));
        assert!(!lifecycle.is_ready());
    }
}
