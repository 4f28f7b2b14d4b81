//! De-duplication, durable and before work: a request is accepted by one transaction that makes its
//! operation record and changes what it asks for. The same id again is a repeat or a conflict.

use std::time::Duration;

use common::id::RequestId;
use common::port::store::{self, Op, Path, Version};
use common::port::{Clock, Store};
use common::record::operation::{Operation, Outcome, REMEMBERED};
use common::record::path;
use common::service::ServiceName;
use tokio::time::sleep;

use crate::records::{self, Stored};

/// What is accepted once: one kind of command of one service, under one request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub id: RequestId,
    pub service: ServiceName,
    /// The kind of the command, as its message's `kind()` says.
    pub kind: &'static str,
    /// The hash of what was asked, `common::record::operation::fingerprint`.
    pub fingerprint: String,
}

impl Request {
    pub fn path(&self) -> Path {
        path::operation(self.id, self.service, self.kind)
    }
}

/// What became of a request that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It is new; the changes were made.
    Fresh,
    /// It was accepted before; nothing was changed. Answer with its outcome, if it has one.
    Repeat(Operation),
    /// Its id was used before for something else; nothing was changed.
    Conflict,
}

/// Looks whether the request was accepted before.
pub async fn look_up(
    store: &dyn Store,
    request: &Request,
) -> Result<Option<Acceptance>, records::Error> {
    let stored = records::load::<Operation>(store, &request.path()).await?;
    Ok(stored.map(|stored| judge(stored, request)))
}

fn judge(stored: Stored<Operation>, request: &Request) -> Acceptance {
    if stored.record.fingerprint == request.fingerprint {
        Acceptance::Repeat(stored.record)
    } else {
        Acceptance::Conflict
    }
}

/// Accepts a request and makes `changes` in one transaction. The records in `changes` carry the
/// versions they were decided from; [`records::Error::Changed`] asks to read and decide again.
///
/// After a lost connection the operation record itself tells whether the transaction was done:
/// it is new with our fingerprint only if it was, as nobody else accepts this service's requests.
pub async fn accept(
    store: &dyn Store,
    clock: &dyn Clock,
    request: &Request,
    changes: Vec<Op>,
) -> Result<Acceptance, records::Error> {
    let operation = Operation::accepted(request.fingerprint.clone(), clock.now());
    let mut ops = vec![records::put(request.path(), &operation, None)];
    ops.extend(changes);
    match store.commit(ops).await {
        Ok(_) => Ok(Acceptance::Fresh),
        Err(store::Error::Conflict { index: 0 }) => {
            store.sync().await?;
            look_up(store, request).await?.ok_or(records::Error::Changed)
        }
        Err(store::Error::Conflict { .. }) => Err(records::Error::Changed),
        Err(store::Error::OutcomeUnknown(source)) => {
            store.sync().await?;
            match records::load::<Operation>(store, &request.path()).await? {
                Some(stored) if stored.record == operation => Ok(Acceptance::Fresh),
                Some(stored) => Ok(judge(stored, request)),
                None => Err(store::Error::Unavailable(source).into()),
            }
        }
        Err(err) => Err(err.into()),
    }
}

/// The operation that gives a request its outcome, to be put into the transaction that ends it.
/// None if the request was never accepted here or already has an outcome: the first one stays.
pub async fn conclude(
    store: &dyn Store,
    at: &Path,
    outcome: Outcome,
) -> Result<Option<Op>, records::Error> {
    let Some(Stored { mut record, version }) = records::load::<Operation>(store, at).await? else {
        return Ok(None);
    };
    if record.outcome.is_some() {
        return Ok(None);
    }
    record.outcome = Some(outcome);
    Ok(Some(records::put(at.clone(), &record, Some(version))))
}

/// Removes the operations of `service` that are older than the platform remembers them, at most
/// `limit` of them; returns how many.
pub async fn collect(
    store: &dyn Store,
    clock: &dyn Clock,
    service: ServiceName,
    limit: usize,
) -> Result<usize, records::Error> {
    let mut removed = 0;
    let marker = format!(".{service}.");
    for (path, name) in records::sharded(store, &path::folder("operations")).await? {
        if removed == limit {
            break;
        }
        if !name.contains(&marker) {
            continue;
        }
        let Some(stored) = records::load::<Operation>(store, &path).await? else { continue };
        let age = clock.now().duration_since(stored.record.accepted_at);
        if age > REMEMBERED {
            remove(store, path, stored.version).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Collects the operations of `service` every so often, at most `limit` at once; never ends.
pub async fn keep_collecting(
    store: &dyn Store,
    clock: &dyn Clock,
    service: ServiceName,
    every: Duration,
    limit: usize,
) {
    loop {
        sleep(every).await;
        match collect(store, clock, service, limit).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old requests were forgotten"),
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "old requests could not be forgotten"
                );
            }
        }
    }
}

async fn remove(store: &dyn Store, path: Path, version: Version) -> Result<(), records::Error> {
    match store.commit(vec![Op::Delete { path, version }]).await {
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(err) => Err(err.into()),
    }
}
