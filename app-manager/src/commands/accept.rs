//! Accepting a request about an instance, once: the operation, who asked, the changed instance and the
//! message it owes are one transaction.

use chassis::operations::{self, Acceptance};
use chassis::records;
use common::id::{MessageId, RequestId};
use common::message::Envelope;
use common::name::LegacyName;
use common::port::Store;
use common::port::store::{self, Op, Version};
use common::record::instance::Instance;
use common::record::operation::{Operation, Outcome};
use common::record::owed::Owed;
use common::record::path;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::Error;
use crate::context::{BUS_WITHIN, Context};
use crate::domain::access::Person;
use crate::records::requests::{self, Asked, Kind};
use crate::records::{deciding, instances};

/// How many messages an instance may owe: beyond that the bus has been away for too long.
pub(crate) const MOST_OWED: usize = 32;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) id: RequestId,
    pub(super) kind: Kind,
    pub(super) by: &'a Person,
    pub(super) instance: LegacyName,
    /// The hash of all that was asked.
    pub(super) fingerprint: String,
}

/// A request that was accepted, now or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) instance: LegacyName,
    pub(crate) request: RequestId,
    /// Whether the bus has not taken the message yet: the request goes on when it is back.
    pub(crate) waits_for_bus: bool,
}

/// What a request changes.
#[derive(Debug)]
pub(super) struct Change {
    /// To be written over the version it was read at.
    pub(super) instance: Instance,
    pub(super) version: Option<Version>,
    /// What is written besides.
    pub(super) also: Vec<Op>,
    pub(super) ends: Ends,
}

/// When the request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// As others tell.
    Later,
    /// With this very change: it was all that was to be done.
    AtOnce,
}

impl Change {
    /// Of an instance alone; others do what is asked.
    pub(super) fn of(instance: Instance, version: Option<Version>) -> Self {
        Change { instance, version, also: Vec::new(), ends: Ends::Later }
    }
}

/// Accepts a request. `decide` makes the change from what is true then; it may be called again.
pub(super) async fn accept<F>(
    context: &Context,
    ask: Ask<'_>,
    decide: impl Fn() -> F,
) -> Result<Accepted, Error>
where
    F: Future<Output = Result<Change, Error>>,
{
    let store = context.ports.store.as_ref();
    let mut publications = context.published.subscribe();
    let message = message_id(ask.id);
    let result = deciding(store, || once(context, &ask, &decide)).await;
    let label = match &result {
        Ok(Taken::Now { .. }) => "accepted",
        Ok(Taken::Before) => "repeated",
        Err(_) => "refused",
    };
    context.metrics.requests.with_label_values(&[ask.kind.as_str(), label]).inc();
    context.due.wake(ask.instance.clone());
    let waits_for_bus = match result? {
        Taken::Now { owes: false } => {
            context.wake.wake(ask.instance.clone());
            false
        }
        Taken::Now { owes: true } => {
            context.wake.wake(ask.instance.clone());
            let taken = async {
                loop {
                    match publications.recv().await {
                        Ok(published) if published == message => return true,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => {
                            return !is_owed(context, &ask.instance, message).await;
                        }
                        Err(RecvError::Closed) => return false,
                    }
                }
            };
            !timeout(BUS_WITHIN, taken).await.unwrap_or(false)
        }
        Taken::Before => is_owed(context, &ask.instance, message).await,
    };
    Ok(Accepted { instance: ask.instance, request: ask.id, waits_for_bus })
}

enum Taken {
    Now {
        /// Whether the request has a message for the bus.
        owes: bool,
    },
    Before,
}

async fn once<F>(context: &Context, ask: &Ask<'_>, decide: &impl Fn() -> F) -> Result<Taken, Error>
where
    F: Future<Output = Result<Change, Error>>,
{
    let (store, clock) = (context.ports.store.as_ref(), context.ports.clock.as_ref());
    let request = requests::request(ask.id, ask.kind, ask.fingerprint.clone());
    if let Some(asked) = requests::load(store, ask.id).await? {
        // The id stands for one request, of whatever kind.
        if asked.record.kind != ask.kind {
            return Err(Error::IdempotencyMismatch);
        }
    }
    if let Some(acceptance) = operations::look_up(store, &request).await? {
        return taken(&acceptance, false);
    }
    let Change { instance, version, also, ends } = decide().await?;
    if instance.owed.len() > MOST_OWED {
        return Err(Error::TooMuchOwed);
    }
    let asked = Asked {
        schema: 1,
        kind: ask.kind,
        instance: ask.instance.clone(),
        by: ask.by.name.clone(),
        at: clock.now(),
    };
    let mut changes = vec![instances::put(&instance, version), requests::put(ask.id, &asked)];
    changes.extend(also);
    let message = message_id(ask.id);
    let owes = instance.owed.iter().any(|owed| owed.message_id == message);
    let acceptance = match ends {
        Ends::Later => operations::accept(store, clock, &request, changes).await?,
        Ends::AtOnce => accept_ended(store, &request, asked.at, changes).await?,
    };
    taken(&acceptance, owes)
}

/// Accepts a request that has ended well with what it changed: its operation is made with its outcome.
async fn accept_ended(
    store: &dyn Store,
    request: &operations::Request,
    now: Timestamp,
    changes: Vec<Op>,
) -> Result<Acceptance, records::Error> {
    let operation = ended(request.fingerprint.clone(), now);
    let mut ops = vec![records::put(request.path(), &operation, None)];
    ops.extend(changes);
    let known = async || {
        store.sync().await?;
        records::load::<Operation>(store, &request.path()).await
    };
    match store.commit(ops).await {
        Ok(_) => Ok(Acceptance::Fresh),
        Err(store::Error::Conflict { index: 0 }) => {
            store.sync().await?;
            operations::look_up(store, request).await?.ok_or(records::Error::Changed)
        }
        Err(store::Error::Conflict { .. }) => Err(records::Error::Changed),
        Err(store::Error::OutcomeUnknown(source)) => match known().await? {
            Some(stored) if stored.record == operation => Ok(Acceptance::Fresh),
            Some(_) => operations::look_up(store, request).await?.ok_or(records::Error::Changed),
            None => Err(store::Error::Unavailable(source).into()),
        },
        Err(err) => Err(err.into()),
    }
}

/// The memory of a request that was done when it was accepted.
pub(super) fn ended(fingerprint: String, now: Timestamp) -> Operation {
    let mut operation = Operation::accepted(fingerprint, now);
    operation.outcome = Some(Outcome::Succeeded { details: None });
    operation
}

fn taken(acceptance: &Acceptance, owes: bool) -> Result<Taken, Error> {
    match acceptance {
        Acceptance::Fresh => Ok(Taken::Now { owes }),
        Acceptance::Repeat(_) => Ok(Taken::Before),
        Acceptance::Conflict => Err(Error::IdempotencyMismatch),
    }
}

/// The id of the one message that a request owes, the same at every attempt.
fn message_id(request: RequestId) -> MessageId {
    MessageId(request.derive("message").0)
}

/// The message that a request owes the bus.
pub(crate) fn owed(instance: &LegacyName, envelope: Envelope) -> Owed {
    Owed {
        message_id: message_id(envelope.request_id),
        key: instance.as_str().to_owned(),
        envelope,
        details: None,
    }
}

/// One of several messages of a request; `name` tells it from the others.
pub(crate) fn also_owed(instance: &LegacyName, name: &str, envelope: Envelope) -> Owed {
    let message_id = MessageId(envelope.request_id.derive(name).0);
    Owed { message_id, ..owed(instance, envelope) }
}

/// Whether the bus has not taken the message yet; what cannot be read is taken for owed.
async fn is_owed(context: &Context, instance: &LegacyName, message: MessageId) -> bool {
    let path = path::instance(instance);
    let stored = records::load::<Instance>(context.ports.store.as_ref(), &path).await;
    match stored {
        Ok(Some(stored)) => stored.record.owed.iter().any(|owed| owed.message_id == message),
        Ok(None) => false,
        Err(_) => true,
    }
}
