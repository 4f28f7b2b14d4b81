//! Sends what incidents owe: messages on the bus, notices to receivers of webhooks.
//!
//! What was sent is cleared by compare-and-set afterwards: a crash in between repeats it under the same id. A
//! request for a restart is sent only while the last round saw its target bad and no brake is on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading::Error;
use chassis::owed;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self as stored, Stored};
use common::id::{MessageId, RequestId};
use common::port::bus;
use common::record::owed::Owed;
use futures::future::join_all;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::alerts;
use crate::records::{
    Incident, OwedNotice, Phase, asks_for_restart, incident, incident_path, incidents,
};
use crate::shared::Shared;

/// How soon what may not be sent yet is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const TELL_WITHIN: Duration = Duration::from_secs(15);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_mins(5);
/// Others write the same record: the round that closes an incident.
const CLEAR_TRIES: usize = 5;

/// The reconciler of what is owed, by incident.
#[derive(Debug)]
pub(crate) struct Dues<'a> {
    shared: &'a Shared,
    /// The notices that were tried in vain.
    attempts: Mutex<BTreeMap<Uuid, Attempt>>,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    failed: u32,
    not_before: Instant,
}

/// What was done with it, and may be cleared.
#[derive(Debug, Default)]
struct Settled {
    messages: BTreeSet<MessageId>,
    notices: BTreeSet<Uuid>,
}

/// What becomes of an owed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Send,
    Wait,
    Withdraw,
}

impl<'a> Dues<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Dues { shared, attempts: Mutex::default() }
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeMap<Uuid, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self, incident: &Incident, message: &Owed) -> Gate {
        if !asks_for_restart(message) {
            return Gate::Send;
        }
        let Some(sight) = self.shared.sight() else { return Gate::Wait };
        let is_held = incident.target.kind().is_none_or(|kind| sight.held.contains(&kind));
        if is_held || incident.closed_at.is_some() {
            Gate::Withdraw
        } else if sight.bad.contains(&incident.target) {
            Gate::Send
        } else {
            Gate::Wait
        }
    }

    /// Publishes what may be sent, in order; what was published before an error is settled too.
    async fn publish(&self, incident: &Incident) -> (BTreeSet<MessageId>, Result<(), bus::Error>) {
        let mut settled = BTreeSet::new();
        for message in &incident.owed {
            match self.gate(incident, message) {
                Gate::Wait => continue,
                Gate::Withdraw => {
                    tracing::warn!(incident.id = %incident.id, "a restart that nobody was told of is withdrawn");
                    self.shared.metrics.withdrawn.inc();
                }
                Gate::Send => {
                    let one = std::slice::from_ref(message);
                    if let Err(err) = owed::publish(self.shared.ports.bus.as_ref(), one).await {
                        return (settled, Err(err));
                    }
                    if asks_for_restart(message) {
                        self.shared.restart_sent(incident.target.clone());
                    }
                }
            }
            settled.insert(message.message_id);
        }
        (settled, Ok(()))
    }

    /// Tells receivers, each for itself; returns the notices that are done with.
    async fn tell(&self, incident: &Incident) -> BTreeSet<Uuid> {
        let now = Instant::now();
        let is_due = |notice: &&OwedNotice| {
            let waits = self.attempts().get(&notice.id).is_some_and(|last| last.not_before > now);
            // The end of an incident is told after its beginning.
            let is_first = notice.phase == Phase::Opened
                || !incident
                    .notices
                    .iter()
                    .any(|other| other.receiver == notice.receiver && other.phase == Phase::Opened);
            !waits && is_first
        };
        let due: Vec<&OwedNotice> = incident.notices.iter().filter(is_due).collect();
        let told = join_all(due.into_iter().map(|notice| self.tell_one(incident, notice))).await;
        told.into_iter().flatten().collect()
    }

    async fn tell_one(&self, incident: &Incident, notice: &OwedNotice) -> Option<Uuid> {
        let webhooks = self.shared.ports.webhooks.as_ref();
        let made = alerts::notice(incident, notice);
        let told = timeout(TELL_WITHIN, webhooks.tell(&notice.receiver, &made)).await;
        if let Ok(Ok(())) = told {
            self.shared.metrics.notices_ended("told", 1);
            self.attempts().remove(&notice.id);
            return Some(notice.id);
        }
        self.shared.metrics.notices_failed.inc();
        match told {
            Ok(Err(err)) => {
                tracing::warn!(error = &err as &dyn std::error::Error, receiver = notice.receiver, incident.id = %incident.id, "a receiver was not told");
            }
            Ok(Ok(())) | Err(_) => {
                tracing::warn!(receiver = notice.receiver, incident.id = %incident.id, "a receiver did not answer");
            }
        }
        let age = self.shared.ports.clock.now().duration_since(notice.owed_since);
        if age > self.shared.config.give_up {
            tracing::error!(receiver = notice.receiver, incident.id = %incident.id, "a receiver is not told: it took too long");
            self.shared.metrics.notices_ended("given_up", 1);
            self.attempts().remove(&notice.id);
            return Some(notice.id);
        }
        let failed = self.attempts().get(&notice.id).map_or(0, |last| last.failed) + 1;
        let not_before = Instant::now() + self.wait(failed);
        self.attempts().insert(notice.id, Attempt { failed, not_before });
        None
    }

    /// Doubles with each failure; a random half of it is left out, so that many do not come back at once.
    fn wait(&self, failed: u32) -> Duration {
        let whole = FIRST_WAIT.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LAST_WAIT);
        let [.., random] = self.shared.ports.entropy.uuid().into_bytes();
        whole / 2 + whole / 2 * u32::from(random) / 255
    }

    /// Takes what is done with out of the record.
    async fn clear(&self, id: RequestId, settled: &Settled) -> Result<Option<Incident>, Error> {
        let mut tries = 0;
        loop {
            let Some(Stored { mut record, version }) = incident(self.shared, id).await? else {
                return Ok(None);
            };
            let before = (record.owed.len(), record.notices.len());
            record.owed.retain(|message| !settled.messages.contains(&message.message_id));
            record.notices.retain(|notice| !settled.notices.contains(&notice.id));
            if before == (record.owed.len(), record.notices.len()) {
                return Ok(Some(record));
            }
            let put = stored::put(incident_path(id), &record, Some(version));
            match self.shared.seat.commit(vec![put]).await {
                Ok(_) => {
                    self.shared.paid_notices(before.1.saturating_sub(record.notices.len()));
                    return Ok(Some(record));
                }
                Err(err) if err.is_changed() && tries < CLEAR_TRIES => tries += 1,
                Err(err) => return Err(err),
            }
        }
    }

    /// When what is left should be looked at.
    fn next(&self, incident: &Incident) -> Outcome {
        if incident.is_told() {
            return Outcome::Settled;
        }
        let now = Instant::now();
        let attempts = self.attempts();
        let waits = incident.notices.iter().filter_map(|notice| attempts.get(&notice.id));
        let soonest = waits.map(|last| last.not_before.saturating_duration_since(now)).min();
        let messages = (!incident.owed.is_empty()).then_some(LOOK_AGAIN);
        let soonest = soonest.into_iter().chain(messages).min().unwrap_or(LOOK_AGAIN);
        Outcome::Again(soonest.max(Duration::from_millis(10)))
    }
}

#[async_trait]
impl Reconcile for Dues<'_> {
    type Key = RequestId;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<RequestId>, Error> {
        let found = stored::sharded(self.shared.ports.store.as_ref(), &incidents()).await?;
        Ok(found.into_iter().filter_map(|(_, name)| name.parse().ok()).collect())
    }

    async fn reconcile(&self, id: &RequestId) -> Result<Outcome, Error> {
        let Some(Stored { record, .. }) = incident(self.shared, *id).await? else {
            return Ok(Outcome::Settled);
        };
        if record.is_told() {
            return Ok(Outcome::Settled);
        }
        // A bus that is away keeps nobody from being told, and neither the other way round.
        let ((messages, published), notices) =
            futures::join!(self.publish(&record), self.tell(&record));
        let left = self.clear(*id, &Settled { messages, notices }).await?;
        published?;
        Ok(left.map_or(Outcome::Settled, |left| self.next(&left)))
    }
}
