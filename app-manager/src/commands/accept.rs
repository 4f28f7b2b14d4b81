//! Accepting a request about an instance, once: the operation, who asked, the changed instance and the
//! message it owes are one transaction.

use chassis::operations::{self, Acceptance};
use chassis::records;
use common::id::{MessageId, RequestId};
use common::message::Envelope;
use common::name::LegacyName;
use common::port::store::Version;
use common::record::instance::Instance;
use common::record::owed::Owed;
use common::record::path;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::Error;
use crate::context::{BUS_WITHIN, Context};
use crate::domain::access::Person;
use crate::records::requests::{self, Asked, Kind};
use crate::records::{deciding, instances};

/// How many messages an instance may owe: beyond that the bus has been away for too long.
const MOST_OWED: usize = 32;

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

/// An instance to be written, over the version it was read at.
pub(super) type Change = (Instance, Option<Version>);

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
        Ok(Taken::Now) => "accepted",
        Ok(Taken::Before) => "repeated",
        Err(_) => "refused",
    };
    context.metrics.requests.with_label_values(&[ask.kind.as_str(), label]).inc();
    let waits_for_bus = match result? {
        Taken::Now => {
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
    Now,
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
        return taken(&acceptance);
    }
    let (instance, version) = decide().await?;
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
    let changes = vec![instances::put(&instance, version), requests::put(ask.id, &asked)];
    taken(&operations::accept(store, clock, &request, changes).await?)
}

fn taken(acceptance: &Acceptance) -> Result<Taken, Error> {
    match acceptance {
        Acceptance::Fresh => Ok(Taken::Now),
        Acceptance::Repeat(_) => Ok(Taken::Before),
        Acceptance::Conflict => Err(Error::IdempotencyMismatch),
    }
}

/// The id of the one message that a request owes, the same at every attempt.
fn message_id(request: RequestId) -> MessageId {
    MessageId(request.derive("message").0)
}

/// The message that a request owes the bus.
pub(super) fn owed(instance: &LegacyName, envelope: Envelope) -> Owed {
    Owed {
        message_id: message_id(envelope.request_id),
        key: instance.as_str().to_owned(),
        envelope,
        details: None,
    }
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
