//! Stopping, liveness and readiness of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::record::leader::Advertised;
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
    role: Role,
}

/// Whether an instance of a service does its work, or waits for its turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Role {
    /// It leads, or its service has no leader.
    #[default]
    Leads,
    /// Another instance leads, or nobody that is known.
    StandsBy { leader: Option<Advertised> },
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

    /// This instance leads from now on.
    pub fn leads(&self) {
        self.with(|told| told.role = Role::Leads);
    }

    /// Another instance leads from now on, if it is known which.
    pub fn stands_by(&self, leader: Option<Advertised>) {
        self.with(|told| told.role = Role::StandsBy { leader });
    }

    pub fn role(&self) -> Role {
        self.with(|told| told.role.clone())
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

/// One condition of readiness, for as long as somebody says whether it holds.
#[derive(Debug)]
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

impl Drop for Condition {
    fn drop(&mut self) {
        self.lifecycle.with(|told| told.conditions.remove(self.name));
    }
}

/// A loop's sign of life, for as long as the loop runs.
#[derive(Debug)]
pub struct Beat {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Beat {
    pub fn now(&self) {
        self.lifecycle.with(|told| told.beats.insert(self.name, Instant::now()));
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.lifecycle.with(|told| told.beats.remove(self.name));
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

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_over_is_not_silent() {
        let lifecycle = Lifecycle::new();
        drop(lifecycle.beat("consumer"));
        drop(lifecycle.condition("bus"));
        tokio::time::advance(SILENCE * 2).await;
        assert!(lifecycle.silent_loops().is_empty());
        assert!(lifecycle.is_ready());
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
