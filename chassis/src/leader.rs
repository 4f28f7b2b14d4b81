//! Which instance of a service leads: of its candidates the one with the lowest number.
//!
//! Owns standing for the lead, taking it, and noticing that it is lost; never what a leader does. Who
//! leads may act; who stands by answers what it can and sends the rest to the leader.

use std::time::Duration;

use common::port::Store;
use common::port::store::{self, Change, Done, Lifetime, Op, Path, Version};
use common::record::leader::{self, Advertised, CandidateRecord};
use common::record::{self, path};
use common::service::ServiceName;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::epoch::{self, Lead};
use crate::lifecycle::{Condition, Lifecycle};
use crate::records;

/// How often a leader makes sure that it still leads, and who stands by that somebody else does.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a leader goes on without being sure: two thirds of the store's session, after which its
/// successor may lead.
const SURE_FOR: Duration = Duration::from_secs(4);
/// How long one look may take, each of whose calls has a deadline of its own.
const LOOK_WITHIN: Duration = Duration::from_mins(1);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// An instance that wants to lead its service.
#[derive(Debug)]
pub struct Election<'a> {
    pub store: &'a dyn Store,
    pub service: ServiceName,
    /// How others find this instance. Whoever stood under the same address before is dead.
    pub advertised: &'a Advertised,
}

/// The record by which an instance stands for the lead.
#[derive(Debug, Clone)]
struct Standing {
    path: Path,
    version: Version,
}

/// A lead that was taken.
#[derive(Debug)]
pub struct Leadership<'a> {
    store: &'a dyn Store,
    service: ServiceName,
    lifecycle: Lifecycle,
    lead: Lead,
    standing: Standing,
    sure_at: Instant,
}

/// Why a leader must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("the session with the store has ended, and another instance may lead")]
    Removed,
    #[error("the store has not answered for 4 s, and another instance may lead soon")]
    Unsure,
    /// Its writes are refused: an epoch after its own is taken.
    #[error("another {} leads", .0.as_str().replace('-', " "))]
    Deposed(ServiceName),
}

impl<'a> Election<'a> {
    /// Stands by until this instance leads, and tries for ever. Who leads is told to `lifecycle`, and to
    /// `condition` what is in the way: it holds while this instance stands by, and a leader says itself
    /// when it is ready.
    pub async fn win(&self, condition: &Condition, lifecycle: &Lifecycle) -> Leadership<'a> {
        lifecycle.stands_by(None);
        let beat = lifecycle.beat("lead");
        let (mut retry, mut standing) = (FIRST_RETRY, None);
        let mut changes = None;
        loop {
            beat.busy_for(LOOK_WITHIN);
            match self.look(&mut standing, &mut changes, lifecycle).await {
                Ok(Some(leadership)) => {
                    lifecycle.leads();
                    tracing::info!(service = %self.service, epoch = %leadership.lead.epoch, "leading");
                    return leadership;
                }
                Ok(None) => {
                    condition.holds();
                    retry = FIRST_RETRY;
                    wait_for_change(&mut changes).await;
                }
                Err(err) => {
                    if !matches!(err, records::Error::Changed) {
                        condition.fails(err.to_string());
                        tracing::warn!(
                            error = &err as &dyn std::error::Error,
                            "the lead cannot be taken; trying again"
                        );
                    }
                    sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// Stands, and takes the lead if nobody stands before this instance.
    async fn look(
        &self,
        standing: &mut Option<Standing>,
        changes: &mut Option<BoxStream<'static, Change>>,
        lifecycle: &Lifecycle,
    ) -> Result<Option<Leadership<'a>>, records::Error> {
        let folder = path::leaders(self.service);
        if changes.is_none() {
            *changes = Some(self.store.watch(&folder).await?);
        }
        let own = match standing.take() {
            Some(own) if self.stands(&own).await? => own,
            Some(_) | None => self.stand(&folder).await?,
        };
        let own = standing.insert(own);
        let sure_at = Instant::now();
        self.store.sync().await?;
        let names = self.store.children(&folder).await?;
        let Some(first) = leader::first(&names) else {
            return Err(records::Error::Changed);
        };
        if first == own.path.name() {
            let lead = epoch::take(self.store, self.service, (&own.path, own.version)).await?;
            let (store, service, standing) = (self.store, self.service, own.clone());
            let lifecycle = lifecycle.clone();
            return Ok(Some(Leadership { store, service, lifecycle, lead, standing, sure_at }));
        }
        let leader = match folder.join(first) {
            Ok(path) => records::load::<CandidateRecord>(self.store, &path).await?,
            Err(_) => None,
        };
        lifecycle.stands_by(leader.map(|stored| stored.record.advertised));
        Ok(None)
    }

    async fn stands(&self, own: &Standing) -> Result<bool, store::Error> {
        let entry = self.store.get(&own.path).await?;
        Ok(entry.is_some_and(|entry| entry.version == own.version))
    }

    /// Makes the record of this instance; one that is there under its address is that of a life before
    /// this one, or was made by a call whose answer was lost.
    async fn stand(&self, folder: &Path) -> Result<Standing, records::Error> {
        self.store.sync().await?;
        for name in self.store.children(folder).await? {
            let Ok(path) = folder.join(&name) else { continue };
            let Some(entry) = self.store.get(&path).await? else { continue };
            let found: Option<CandidateRecord> = record::decode(&entry.value).ok();
            if found.is_none_or(|found| found.advertised.plain == self.advertised.plain) {
                let removed =
                    self.store.commit(vec![Op::Delete { path, version: entry.version }]).await;
                // Its own session may have ended at the same moment.
                if !matches!(removed, Err(store::Error::Conflict { .. })) {
                    removed?;
                }
            }
        }
        let record = CandidateRecord { schema: 1, advertised: self.advertised.clone() };
        let op = Op::PutSequential {
            path: path::candidate(self.service),
            value: record::encode(&record),
            lifetime: Lifetime::Ephemeral,
        };
        match self.store.commit(vec![op]).await?.into_iter().next() {
            Some(Done::Written { path, version }) => Ok(Standing { path, version }),
            Some(Done::Deleted | Done::Checked) | None => Err(records::Error::Changed),
        }
    }
}

/// Hints may be lost: so it is looked again anyway, once in a while.
async fn wait_for_change(changes: &mut Option<BoxStream<'static, Change>>) {
    let Some(hints) = changes else { return sleep(LOOK_EVERY).await };
    if let Ok(None) = timeout(LOOK_EVERY, hints.next()).await {
        *changes = None;
    }
}

impl Leadership<'_> {
    pub fn lead(&self) -> &Lead {
        &self.lead
    }

    /// Works for as long as this instance leads, and lets the next one lead when the work is done.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, Lost> {
        tokio::select! {
            // Asked before all that the leader does: after a pause it is the first to know.
            biased;
            lost = self.lost() => Err(lost),
            done = work => {
                self.resign().await;
                Ok(done)
            }
        }
    }

    /// Completes when this instance may not be the leader any more.
    async fn lost(&self) -> Lost {
        let beat = self.lifecycle.beat("lead");
        let mut sure_at = self.sure_at;
        let lost = loop {
            beat.now();
            let asked = Instant::now();
            match timeout_at(sure_at + SURE_FOR, self.stands()).await {
                Ok(Ok(true)) => sure_at = asked,
                Ok(Ok(false)) => break Lost::Removed,
                Ok(Err(_)) | Err(_) => {}
            }
            let until = sure_at + SURE_FOR;
            if Instant::now() >= until {
                break Lost::Unsure;
            }
            sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        };
        self.lose(lost)
    }

    /// Another instance is known to lead, by a write of this one that was refused.
    pub(crate) fn deposed(&self) -> Lost {
        self.lose(Lost::Deposed(self.service))
    }

    fn lose(&self, lost: Lost) -> Lost {
        tracing::warn!(error = &lost as &dyn std::error::Error, epoch = %self.lead.epoch, "the lead is lost");
        self.lifecycle.stands_by(None);
        lost
    }

    async fn stands(&self) -> Result<bool, store::Error> {
        self.store.sync().await?;
        let entry = self.store.get(&self.standing.path).await?;
        Ok(entry.is_some_and(|entry| entry.version == self.standing.version))
    }

    /// Leaves the lead to the next at once, instead of with the end of the session.
    async fn resign(&self) {
        let Standing { path, version } = self.standing.clone();
        let removed = timeout(LOOK_EVERY, self.store.commit(vec![Op::Delete { path, version }]));
        if !matches!(removed.await, Ok(Ok(_))) {
            tracing::debug!("the next leader has to wait until the session ends");
        }
    }
}
