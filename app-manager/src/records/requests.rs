//! `requests/<hh>/<request id>`: what a request of ours was about, and whose it was. Its outcome stands in
//! the operation record; this says who may read it, and that the request was made here.

use std::fmt;

use chassis::operations::Request;
use chassis::records::{self, Error, Stored};
use common::id::RequestId;
use common::name::{LegacyName, UserName};
use common::port::Store;
use common::port::store::{self, Op, Path};
use common::record::operation::{self, Operation};
use common::record::path;
use common::service::ServiceName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What can be asked of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Deploy,
    Rollback,
    Promote,
    Scale,
    Stop,
    Schedule,
    Unschedule,
}

impl Kind {
    /// The kind in the operation record's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Deploy => "deploy",
            Kind::Rollback => "rollback",
            Kind::Promote => "promote",
            Kind::Scale => "scale",
            Kind::Stop => "stop",
            Kind::Schedule => "schedule",
            Kind::Unschedule => "unschedule",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that was accepted here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) schema: u32,
    pub(crate) kind: Kind,
    pub(crate) instance: LegacyName,
    pub(crate) by: UserName,
    pub(crate) at: Timestamp,
}

pub(crate) fn path_of(id: RequestId) -> Path {
    let shard = path::shard(&id.to_string());
    path::folder(&format!("requests/{shard}/{id}"))
}

pub(crate) async fn load(store: &dyn Store, id: RequestId) -> Result<Option<Stored<Asked>>, Error> {
    super::find(store, &path_of(id)).await
}

/// The operation record of a request of ours.
pub(crate) async fn operation(
    store: &dyn Store,
    id: RequestId,
    kind: Kind,
) -> Result<Option<Operation>, Error> {
    let path = path::operation(id, ServiceName::AppManager, kind.as_str());
    Ok(super::find::<Operation>(store, &path).await?.map(|stored| stored.record))
}

/// Whether a request is one of ours, and has no outcome yet: what it asks for may still come.
pub(crate) async fn is_open(store: &dyn Store, id: RequestId) -> Result<bool, Error> {
    let Some(Stored { record: asked, .. }) = load(store, id).await? else { return Ok(false) };
    let operation = operation(store, id, asked.kind).await?;
    Ok(operation.is_some_and(|operation| operation.outcome.is_none()))
}

/// What is accepted once under `id`.
pub(crate) fn request(id: RequestId, kind: Kind, fingerprint: String) -> Request {
    Request { id, service: ServiceName::AppManager, kind: kind.as_str(), fingerprint }
}

/// The operation that notes a request.
pub(crate) fn put(id: RequestId, asked: &Asked) -> Op {
    records::put(path_of(id), asked, None)
}

/// Removes what is older than operations are remembered, at most `limit`; returns how many.
pub(crate) async fn collect(
    store: &dyn Store,
    now: Timestamp,
    limit: usize,
) -> Result<usize, Error> {
    let mut removed = 0;
    for (path, _) in records::sharded(store, &path::folder("requests")).await? {
        if removed == limit {
            break;
        }
        let Some(stored) = records::load::<Asked>(store, &path).await? else { continue };
        if now.duration_since(stored.record.at) > operation::REMEMBERED {
            let gone = store.commit(vec![Op::Delete { path, version: stored.version }]).await;
            if let Err(err) = gone
                && !matches!(err, store::Error::Conflict { .. })
            {
                return Err(err.into());
            }
            removed += 1;
        }
    }
    Ok(removed)
}
