//! Stopping, liveness and readiness of a process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::record::leader::Advertised;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a turn of a loop may take, where it does not say otherwise, before `/health` says no.
const TURN_WITHIN: Duration = Duration::from_secs(30);

/// What a running service is told, and what it tells about itself. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    conditions: BTreeMap<&'static str, Result<(), String>>,
    turns: BTreeMap<&'static str, Turn>,
    role: Role,
}

/// The last sign of life of a loop.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: Instant,
    within: Duration,
    count: u64,
}

/// A loop, and how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loop {
    pub name: &'static str,
    /// How long ago it was last heard of.
    pub age: Duration,
    /// How long that may be, by what the loop is at.
    pub within: Duration,
    /// How often it was heard of.
    pub turns: u64,
}

impl Loop {
    pub fn is_silent(&self) -> bool {
        self.age > self.within
    }
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

    /// Registers a loop that must be heard of every 30 s, unless it says that something takes longer.
    pub fn beat(&self, name: &'static str) -> Beat {
        let beat = Beat { name, lifecycle: self.clone() };
        beat.now();
        beat
    }

    /// Every loop, by name.
    pub fn loops(&self) -> Vec<Loop> {
        let now = Instant::now();
        self.with(|told| {
            let turns = told.turns.iter();
            let one = |(name, turn): (&&'static str, &Turn)| Loop {
                name,
                age: now.duration_since(turn.at),
                within: turn.within,
                turns: turn.count,
            };
            turns.map(one).collect()
        })
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
        self.loops().into_iter().filter(Loop::is_silent).map(|one| one.name).collect()
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
        self.told(TURN_WITHIN);
    }

    /// From now on it is at something that has a deadline of its own, and takes no longer than this. Who waits for what is
    /// away, and gives up in time, is no more silent than who works.
    pub fn busy_for(&self, at_most: Duration) {
        self.told(at_most);
    }

    fn told(&self, within: Duration) {
        let at = Instant::now();
        self.lifecycle.with(|told| {
            let turn = told.turns.entry(self.name).or_insert(Turn { at, within, count: 0 });
            *turn = Turn { at, within, count: turn.count.wrapping_add(1) };
        });
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.lifecycle.with(|told| told.turns.remove(self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_falls_silent_is_named() {
        let lifecycle = Lifecycle::new();
        let beat = lifecycle.beat("consumer");
        tokio::time::advance(TURN_WITHIN).await;
        assert!(lifecycle.silent_loops().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(lifecycle.silent_loops(), ["consumer"]);
        beat.now();
        assert!(lifecycle.silent_loops().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_said_that_something_takes_longer_has_so_long_for_it_once() {
        let lifecycle = Lifecycle::new();
        let beat = lifecycle.beat("consumer");
        beat.busy_for(TURN_WITHIN * 2);
        tokio::time::advance(TURN_WITHIN * 2).await;
        assert!(lifecycle.silent_loops().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(lifecycle.silent_loops(), ["consumer"]);
        beat.now();
        tokio::time::advance(TURN_WITHIN + Duration::from_secs(1)).await;
        assert_eq!(lifecycle.silent_loops(), ["consumer"]);
        let all: Vec<_> = lifecycle.loops().iter().map(|one| (one.turns, one.within)).collect();
        assert_eq!(all, [(3, TURN_WITHIN)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_over_is_not_silent() {
        let lifecycle = Lifecycle::new();
        drop(lifecycle.beat("consumer"));
        drop(lifecycle.condition("bus"));
        tokio::time::advance(TURN_WITHIN * 2).await;
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
