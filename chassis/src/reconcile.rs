//! The reconciler driver: calls one idempotent function per key on wake, on timer and on a full scan.
//!
//! Owns when a reconciler runs; never what it does. One key is never reconciled twice at once.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{FusedFuture as _, OptionFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lifecycle::Lifecycle;

/// How often a quiet loop shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long asking for all keys may take, and how soon a failed scan is tried again.
const SCAN_WITHIN: Duration = Duration::from_secs(20);
const SCAN_AGAIN: Duration = Duration::from_secs(1);

/// What a reconciler makes of a key for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do until something changes.
    Settled,
    /// Look again after this time.
    Again(Duration),
}

/// Makes what is wanted so, for one key at a time. It takes a key and nothing else.
#[async_trait]
pub trait Reconcile: Send + Sync {
    type Key: Clone + Debug + Display + Ord + Send + Sync;
    type Error: Error + Send + Sync + 'static;

    /// All keys there are: asked at start and at every full scan.
    async fn keys(&self) -> Result<Vec<Self::Key>, Self::Error>;

    /// Observes, plans, does, saves: may be called any number of times.
    async fn reconcile(&self, key: &Self::Key) -> Result<Outcome, Self::Error>;
}

/// When the driver calls.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How often all keys are looked at.
    pub scan_every: Duration,
    /// How many keys are worked on at once.
    pub at_once: usize,
    /// The wait after a failure doubles from the first to the last.
    pub first_retry: Duration,
    pub last_retry: Duration,
    /// How long one call may take; then it is dropped and counts as failed.
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            scan_every: Duration::from_secs(30),
            at_once: 16,
            first_retry: Duration::from_millis(100),
            last_retry: Duration::from_secs(10),
            deadline: Duration::from_mins(15),
        }
    }
}

/// Wakes a reconciler for a key. Cheap to clone; never blocks; wakes of the same key fold into one.
#[derive(Debug)]
pub struct Wake<K> {
    inner: Arc<Inbox<K>>,
}

impl<K> Clone for Wake<K> {
    fn clone(&self) -> Self {
        Wake { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inbox<K> {
    woken: Mutex<BTreeSet<K>>,
    scan: Mutex<bool>,
    notify: Notify,
}

impl<K: Ord> Default for Wake<K> {
    fn default() -> Self {
        Wake::new()
    }
}

impl<K: Ord> Wake<K> {
    pub fn new() -> Self {
        let inbox =
            Inbox { woken: Mutex::default(), scan: Mutex::new(false), notify: Notify::new() };
        Wake { inner: Arc::new(inbox) }
    }

    /// The key should be looked at soon.
    pub fn wake(&self, key: K) {
        self.inner.woken.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.inner.notify.notify_one();
    }

    /// All keys should be looked at soon.
    pub fn wake_all(&self) {
        *self.inner.scan.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.notify.notify_one();
    }

    fn take(&self) -> BTreeSet<K> {
        std::mem::take(&mut *self.inner.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_scan(&self) -> bool {
        std::mem::take(&mut *self.inner.scan.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Drives one reconciler.
#[derive(Debug)]
pub struct Driver<K> {
    name: &'static str,
    settings: Settings,
    wake: Wake<K>,
}

/// When keys are due, and how often they failed in a row.
struct Agenda<K> {
    due: BTreeMap<K, Instant>,
    failures: BTreeMap<K, u32>,
    busy: BTreeSet<K>,
    next_scan: Instant,
}

impl<K: Clone + Debug + Display + Ord + Send + Sync> Driver<K> {
    /// `name` is the loop's name in liveness, logs and metrics.
    pub fn new(name: &'static str, settings: Settings, wake: Wake<K>) -> Self {
        Driver { name, settings, wake }
    }

    /// Runs until the process stops; work under way is then dropped, as in a crash.
    pub async fn run<R: Reconcile<Key = K>>(&self, reconciler: &R, lifecycle: &Lifecycle) {
        let beat = lifecycle.beat(self.name);
        let mut agenda = Agenda {
            due: BTreeMap::new(),
            failures: BTreeMap::new(),
            busy: BTreeSet::new(),
            next_scan: Instant::now(),
        };
        let mut running = FuturesUnordered::new();
        let mut scanning = OptionFuture::default();
        while !lifecycle.is_stopping() {
            beat.now();
            self.gather(&mut agenda);
            if scanning.is_terminated() && agenda.next_scan <= Instant::now() {
                // A scan that is asked for from now on is another one.
                agenda.next_scan = Instant::now() + self.settings.scan_every;
                scanning = OptionFuture::from(Some(self.scan(reconciler).boxed().fuse()));
            }
            for key in agenda.take_due(self.settings.at_once) {
                running.push(self.call(reconciler, key));
            }
            let idle_until = self.idle_until(&agenda, scanning.is_terminated());
            tokio::select! {
                biased;
                () = lifecycle.stopping() => break,
                Some((key, result)) = running.next() => self.note(&mut agenda, key, result),
                Some(keys) = &mut scanning, if !scanning.is_terminated() => {
                    Self::scanned(&mut agenda, keys);
                    scanning = OptionFuture::default();
                }
                () = self.wake.inner.notify.notified() => {}
                () = tokio::time::sleep_until(idle_until) => {}
            }
        }
    }

    /// When the loop must look again by itself.
    fn idle_until(&self, agenda: &Agenda<K>, may_scan: bool) -> Instant {
        let due = agenda.next_due(self.settings.at_once);
        let scan = may_scan.then_some(agenda.next_scan);
        due.into_iter().chain(scan).fold(Instant::now() + HEARTBEAT, Instant::min)
    }

    /// Takes in what was woken.
    fn gather(&self, agenda: &mut Agenda<K>) {
        let now = Instant::now();
        for key in self.wake.take() {
            agenda.at(key, now);
        }
        if self.wake.take_scan() {
            agenda.next_scan = now;
        }
    }

    /// Asks for all keys; none if that failed.
    async fn scan<R: Reconcile<Key = K>>(&self, reconciler: &R) -> Option<Vec<K>> {
        match tokio::time::timeout(SCAN_WITHIN, reconciler.keys()).await {
            Ok(Ok(keys)) => Some(keys),
            Ok(Err(err)) => {
                tracing::warn!(
                    error = &err as &dyn Error,
                    reconciler = self.name,
                    "a full scan failed"
                );
                None
            }
            Err(_) => {
                tracing::warn!(reconciler = self.name, "a full scan took too long");
                None
            }
        }
    }

    fn scanned(agenda: &mut Agenda<K>, keys: Option<Vec<K>>) {
        let now = Instant::now();
        if keys.is_none() {
            agenda.next_scan = agenda.next_scan.min(now + SCAN_AGAIN);
        }
        for key in keys.into_iter().flatten() {
            agenda.at(key, now);
        }
    }

    async fn call<R: Reconcile<Key = K>>(&self, reconciler: &R, key: K) -> (K, Option<Outcome>) {
        let call = tokio::time::timeout(self.settings.deadline, reconciler.reconcile(&key));
        match call.await {
            Ok(Ok(outcome)) => (key, Some(outcome)),
            Ok(Err(err)) => {
                tracing::warn!(error = &err as &dyn Error, reconciler = self.name, key = %key, "reconciling failed; trying again");
                (key, None)
            }
            Err(_) => {
                tracing::warn!(reconciler = self.name, key = %key, "reconciling took too long; trying again");
                (key, None)
            }
        }
    }

    fn note(&self, agenda: &mut Agenda<K>, key: K, result: Option<Outcome>) {
        agenda.busy.remove(&key);
        let now = Instant::now();
        match result {
            Some(Outcome::Settled) => {
                agenda.failures.remove(&key);
            }
            Some(Outcome::Again(wait)) => {
                agenda.failures.remove(&key);
                agenda.at(key, now + wait);
            }
            None => {
                let failures = agenda.failures.entry(key.clone()).or_insert(0);
                *failures = (*failures + 1).min(16);
                let wait = self.settings.first_retry * 2_u32.pow(*failures - 1);
                agenda.at(key, now + wait.min(self.settings.last_retry));
            }
        }
    }
}

impl<K: Clone + Ord> Agenda<K> {
    /// The earliest wish wins: a wake that came while the key was worked on stays due.
    fn at(&mut self, key: K, when: Instant) {
        let due = self.due.entry(key).or_insert(when);
        *due = (*due).min(when);
    }

    /// The keys to work on now: who has waited longest comes first, so that nobody is passed over for ever.
    fn take_due(&mut self, at_once: usize) -> Vec<K> {
        let free = at_once.saturating_sub(self.busy.len());
        if free == 0 {
            return Vec::new();
        }
        let now = Instant::now();
        let ready = |(key, when): &(&K, &Instant)| **when <= now && !self.busy.contains(*key);
        let mut waiting: Vec<(&K, &Instant)> = self.due.iter().filter(ready).collect();
        waiting.sort_by_key(|(_, when)| **when);
        let taken: Vec<K> = waiting.into_iter().take(free).map(|(key, _)| key.clone()).collect();
        for key in &taken {
            self.due.remove(key);
            self.busy.insert(key.clone());
        }
        taken
    }

    /// When the next key is due that could be taken.
    fn next_due(&self, at_once: usize) -> Option<Instant> {
        if self.busy.len() >= at_once {
            return None;
        }
        self.due.iter().filter(|(key, _)| !self.busy.contains(*key)).map(|(_, when)| *when).min()
    }
}
