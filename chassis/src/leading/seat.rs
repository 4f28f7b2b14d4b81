//! The seat of an instance: from where it stands for the lead, and writes once it has it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::id::Epoch;
use common::port::Store;
use common::port::bus;
use common::port::nodes::Issuer;
use common::port::store::{self, Done, Op};
use common::record::leader::Advertised;
use common::service::ServiceName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::epoch::Lead;
use crate::leader::Election;
use crate::records;

/// What the parts of a service share about the lead: whether this instance has it, and every write under it.
#[derive(Debug)]
pub struct Seat {
    service: ServiceName,
    store: Arc<dyn Store>,
    advertised: Advertised,
    taken: OnceLock<Taken>,
    deposed: CancellationToken,
}

#[derive(Debug)]
struct Taken {
    lead: Lead,
    at: Instant,
}

/// Why a leader did not get further with its records, or with what they owe.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    /// Another instance leads: this one must not write any more, and its run ends.
    #[error("another instance of the service leads")]
    Deposed,
    /// Nothing is written before the lead was taken.
    #[error("this instance does not lead")]
    NotLeading,
    /// Never of a [`Seat`]: of the steps that publish what a record owes before they clear it.
    #[error("the bus did not take a message")]
    Bus(#[from] bus::Error),
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Error::Records(err.into())
    }
}

impl Error {
    /// Whether someone changed a record in between, or nobody knows: read and decide again.
    pub fn is_changed(&self) -> bool {
        matches!(self, Error::Records(records::Error::Changed))
    }
}

impl Seat {
    /// The seat of an instance that others find at `advertised`. It leads once: after a stop, or a loss, a new seat
    /// is made.
    pub fn new(service: ServiceName, store: Arc<dyn Store>, advertised: Advertised) -> Self {
        let (taken, deposed) = (OnceLock::new(), CancellationToken::new());
        Seat { service, store, advertised, taken, deposed }
    }

    pub(super) fn election(&self) -> Election<'_> {
        let Seat { service, store, advertised, .. } = self;
        Election { store: store.as_ref(), service: *service, advertised }
    }

    pub(super) fn take(&self, lead: Lead) {
        // A second run from the same seat would be a second leader: its writes keep the first epoch and fail.
        drop(self.taken.set(Taken { lead, at: Instant::now() }));
    }

    /// The epoch of this instance's lead; none before it was taken.
    pub fn epoch(&self) -> Option<Epoch> {
        self.taken.get().map(|taken| taken.lead.epoch)
    }

    /// How long ago this instance has taken the lead, if it has.
    pub fn led_for(&self) -> Option<Duration> {
        self.taken.get().map(|taken| taken.at.elapsed())
    }

    /// In whose name agents are asked; before the lead was taken they refuse it.
    pub fn issuer(&self) -> Issuer {
        Issuer { service: self.service, epoch: self.epoch().unwrap_or(Epoch(0)) }
    }

    /// The check that belongs into every transaction of a leader.
    pub fn check(&self) -> Result<Op, Error> {
        Ok(self.taken.get().ok_or(Error::NotLeading)?.lead.check())
    }

    /// Writes all or nothing, if this instance still leads; returns what became of each change.
    /// [`records::Error::Changed`] asks to read and decide again: a record changed, or nobody knows whether the write
    /// was done. The store has caught up by then.
    pub async fn commit(&self, changes: Vec<Op>) -> Result<Vec<Done>, Error> {
        match self.attempt(changes).await {
            Err(Error::Records(records::Error::Store(
                store::Error::Conflict { .. } | store::Error::OutcomeUnknown(_),
            ))) => {
                self.store.sync().await?;
                Err(records::Error::Changed.into())
            }
            done => done,
        }
    }

    /// As [`Seat::commit`], but a conflict, with the index of its change, and an unknown outcome are told as the
    /// store tells them: for who can find out more.
    pub async fn attempt(&self, changes: Vec<Op>) -> Result<Vec<Done>, Error> {
        let mut ops = vec![self.check()?];
        ops.extend(changes);
        match self.store.commit(ops).await {
            Ok(done) => Ok(done.into_iter().skip(1).collect()),
            Err(store::Error::Conflict { index }) => match index.checked_sub(1) {
                Some(index) => Err(store::Error::Conflict { index }.into()),
                None => {
                    let issuer = self.issuer();
                    tracing::warn!(service = %issuer.service, epoch = %issuer.epoch, "a write was refused: another instance leads");
                    Err(self.depose())
                }
            },
            Err(err) => Err(err.into()),
        }
    }

    /// Asks the store itself, not a copy that may be old, whether this instance leads.
    pub async fn still_leads(&self) -> Result<(), Error> {
        let taken = self.taken.get().ok_or(Error::NotLeading)?;
        self.store.sync().await?;
        if taken.lead.stands(self.store.as_ref()).await? { Ok(()) } else { Err(self.depose()) }
    }

    /// Ends the run from this seat; returns the sentence for who found out.
    pub(super) fn depose(&self) -> Error {
        self.deposed.cancel();
        Error::Deposed
    }

    /// Completes once another instance is found to lead.
    pub(super) async fn deposed(&self) {
        self.deposed.cancelled().await;
    }
}
