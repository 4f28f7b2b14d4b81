//! [`Pair`]: the leader's own edge and the other one as one edge. The other is told of what its load balancer reads itself,
//! and what both count is one count.
//!
//! Owns what is made of an edge that does not answer: it may serve on what it had, until its machine is recorded dead.
//! Never decides what is in a table.

mod certified;
mod machine;
mod sum;

use std::collections::BTreeMap;
use std::mem::replace;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::name::LegacyName;
use common::port::edge::{Error, FrontPorts, Status, Table, TakenRoutes, Traffic, Visits};
use common::port::{Edge, EdgeCertificates, OtherEdge};
use futures::future::join;
use prometheus::IntGauge;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

use sum::Sum;

pub(crate) use machine::Machine;

/// How long the other edge may take to serve what was written.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// How long it may take to tell.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// Visitors of an app at rest wait meanwhile.
const VISITS_WITHIN: Duration = Duration::from_millis(200);
/// How often what it missed is looked at.
const CATCH_UP_EVERY: Duration = Duration::from_millis(250);
/// Silent for so long, and its machine dead, it is gone: an address that moves has moved long before.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// Two edges of which one stands beside this instance.
#[derive(Debug)]
pub(crate) struct Pair {
    own: Arc<dyn Edge>,
    certificates: Arc<dyn EdgeCertificates>,
    other: Arc<dyn OtherEdge>,
    machine: Machine,
    known: Mutex<Known>,
    /// Held while the other edge is told.
    telling: AsyncMutex<()>,
    up: IntGauge,
    refused: IntGauge,
}

/// What is known of the other edge.
#[derive(Debug, Default)]
struct Known {
    /// How many tables the own edge was given, and which of them the other one serves.
    given: u64,
    taken: u64,
    /// The same of sets of certificates.
    certificates_given: u64,
    certificates_taken: u64,
    /// Whether it did not take the last table that it was told of.
    is_behind: bool,
    silent_since: Option<Instant>,
    /// Whether it was gone when requests were counted last.
    was_gone: bool,
    ports: Option<FrontPorts>,
    refused: BTreeMap<LegacyName, String>,
    sum: Sum,
}

impl Pair {
    pub(crate) fn new(
        own: Arc<dyn Edge>,
        certificates: Arc<dyn EdgeCertificates>,
        other: Arc<dyn OtherEdge>,
        machine: Machine,
        (up, refused): (IntGauge, IntGauge),
    ) -> Self {
        let (known, telling) = (Mutex::default(), AsyncMutex::default());
        Pair { own, certificates, other, machine, known, telling, up, refused }
    }

    /// The front ports that the other edge has; none before it told.
    pub(crate) fn ports(&self) -> Option<FrontPorts> {
        self.known().ports.clone()
    }

    /// Whether the other edge has not told its front ports, and still may at once.
    pub(crate) fn may_tell_ports(&self) -> bool {
        let known = self.known();
        known.ports.is_none() && known.silent_since.is_none() && !known.is_behind
    }

    /// Whether the other edge serves nothing older than what was given until now, or serves nobody at all. Before the first
    /// table was given nobody knows what it serves.
    pub(crate) async fn has_taken(&self) -> bool {
        let has_taken = {
            let known = self.known();
            known.given > 0 && known.taken == known.given
        };
        has_taken || self.is_gone().await
    }

    /// Tells the other edge what it missed, for ever.
    pub(crate) async fn keep_telling(&self) {
        loop {
            // It is noted, and tried again.
            drop(self.catch_up().await);
            tokio::time::sleep(CATCH_UP_EVERY).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the other edge has not answered; none if it does.
    fn silence(&self) -> Option<Duration> {
        self.known().silent_since.map(|since| since.elapsed())
    }

    /// It may serve while its load balancer does not answer: only its machine's death says that it does not.
    async fn is_gone(&self) -> bool {
        self.silence().is_some_and(|silence| silence >= GONE_AFTER)
            && self.machine.is_written_off().await
    }

    /// Asks, and notes whether it answers.
    async fn hear<T>(
        &self,
        within: Duration,
        asked: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let heard = in_time(within, asked).await;
        let mut known = self.known();
        match &heard {
            Ok(_) if known.silent_since.take().is_some() => {
                tracing::info!("the other edge answers again");
            }
            Ok(_) => {}
            Err(err) => {
                if known.silent_since.is_none() {
                    let error = err as &dyn std::error::Error;
                    tracing::warn!(error, "the other edge does not answer");
                }
                known.silent_since.get_or_insert_with(Instant::now);
            }
        }
        self.up.set(i64::from(heard.is_ok()));
        heard
    }

    /// Has the other edge serve what was given so far, unless it does.
    async fn catch_up(&self) -> Result<(), Error> {
        let _one_at_a_time = self.telling.lock().await;
        let (given, is_silent) = {
            let known = self.known();
            if known.taken == known.given {
                return Ok(());
            }
            (known.given, known.silent_since.is_some())
        };
        let within = if is_silent { TOLD_WITHIN } else { TAKEN_WITHIN };
        match in_time(within, self.other.take_routes()).await {
            Ok(TakenRoutes { ports, refused }) => {
                let mut known = self.known();
                known.taken = known.taken.max(given);
                known.is_behind = false;
                known.ports = Some(ports);
                self.note_refused(&mut known, refused);
                Ok(())
            }
            Err(err) => {
                let was_behind = replace(&mut self.known().is_behind, true);
                if !was_behind {
                    let error = &err as &dyn std::error::Error;
                    tracing::warn!(error, "the other edge does not take the table");
                }
                Err(err)
            }
        }
    }

    fn note_refused(&self, known: &mut Known, refused: BTreeMap<LegacyName, String>) {
        for (instance, why) in &refused {
            if known.refused.get(instance) != Some(why) {
                tracing::error!(%instance, why, "a route is kept out of the other edge's table");
            }
        }
        self.refused.set(i64::try_from(refused.len()).unwrap_or(i64::MAX));
        known.refused = refused;
    }

    /// One that is silent, or behind, holds up nobody: it is told beside.
    async fn catch_up_unless_late(&self) {
        let is_late = {
            let known = self.known();
            known.is_behind || known.silent_since.is_some()
        };
        if !is_late {
            // It is noted, and tried again beside.
            drop(self.catch_up().await);
        }
    }

    /// None while it is silent, or late: then nobody there is known to wait.
    async fn others_visits(&self) -> Option<BTreeMap<LegacyName, Visits>> {
        if self.silence().is_some() {
            return None;
        }
        in_time(VISITS_WITHIN, self.other.visits()).await.ok()
    }
}

async fn in_time<T>(
    within: Duration,
    asked: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    timeout(within, asked).await.unwrap_or_else(|_| Err(unavailable("it does not answer in time")))
}

fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.into())
}

#[async_trait]
impl Edge for Pair {
    async fn load(&self, table: &Table) -> Result<(), Error> {
        self.known().given += 1;
        let (loaded, ()) = join(self.own.load(table), self.catch_up_unless_late()).await;
        loaded
    }

    /// Of the own edge.
    async fn status(&self) -> Result<Status, Error> {
        self.own.status().await
    }

    /// Not known while the other edge does not tell. That it serves the table is for [`Pair::has_taken`] to say.
    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, Error> {
        if self.silence().is_some() {
            return Err(unavailable("the other edge does not answer"));
        }
        let others = in_time(TOLD_WITHIN, self.other.in_flight());
        let (own, others) = join(self.own.in_flight(), others).await;
        let mut counts = own?;
        for (address, count) in others? {
            *counts.entry(address).or_default() += count;
        }
        Ok(counts)
    }

    /// What is gone counts nothing more, and what it counted stays counted.
    async fn traffic(&self) -> Result<Traffic, Error> {
        let others = self.hear(TOLD_WITHIN, self.other.traffic());
        let (own, others) = join(self.own.traffic(), others).await;
        let is_gone = others.is_err() && self.is_gone().await;
        let (own, others) = match others {
            Ok(others) => (own?, Some(others)),
            Err(_) if is_gone => (own?, None),
            Err(err) => return Err(err),
        };
        let mut known = self.known();
        let was_gone = replace(&mut known.was_gone, is_gone);
        let sum = known.sum.of(own, others);
        if was_gone && !is_gone {
            // What it counted unheard is not what is asked now.
            return Err(unavailable("the other edge counts again"));
        }
        Ok(sum)
    }

    /// Nobody has rest while the other edge may be asked for him without our knowing.
    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, Error> {
        let (own, others) = join(self.own.visits(), self.others_visits()).await;
        let mut visits = own?;
        let Some(others) = others else {
            if !self.is_gone().await {
                for visits in visits.values_mut() {
                    visits.idle_seconds = 0;
                }
            }
            return Ok(visits);
        };
        for (instance, more) in others {
            let of = visits.entry(instance).or_insert(Visits { waiting: 0, ..more });
            of.waiting = of.waiting.saturating_add(more.waiting);
            of.idle_seconds = of.idle_seconds.min(more.idle_seconds);
        }
        Ok(visits)
    }

    async fn probe(&self, front_port: u16, path: &str) -> Result<Option<u16>, Error> {
        self.own.probe(front_port, path).await
    }
}

#[cfg(test)]
mod tests;
