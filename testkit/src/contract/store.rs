//! What every [`Store`] keeps: one clause a sentence of the contract (`design.md` 5 and the port's own words).

mod records;
mod sessions;
mod transactions;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::port::Store;
use common::port::store::{Done, Op, Path, Precondition, Version};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails unless the stores that `open` gives keep the contract. Each call opens another client,
/// with a session of its own, of the same tree; the session ends when the client is dropped.
pub async fn holds(open: impl AsyncFn() -> Arc<dyn Store>) {
    let store = open().await;
    records::hold(store.as_ref()).await;
    transactions::hold(store.as_ref()).await;
    transactions::exclude_each_other(&open).await;
    sessions::hold(&open).await;
    watches::hold(&open).await;
}

fn path(text: &str) -> Path {
    text.parse().expect("the suite's paths are paths")
}

fn text(value: &'static str) -> Bytes {
    Bytes::from_static(value.as_bytes())
}

fn make(at: &str, value: &'static str) -> Op {
    Op::Put { path: path(at), value: text(value), precondition: Precondition::Absent }
}

fn change(at: &str, value: &'static str, version: i64) -> Op {
    let precondition = Precondition::Version(Version(version));
    Op::Put { path: path(at), value: text(value), precondition }
}

fn check(at: &str, version: i64) -> Op {
    Op::Check { path: path(at), version: Version(version) }
}

fn delete(at: &str, version: i64) -> Op {
    Op::Delete { path: path(at), version: Version(version) }
}

fn written(at: &str, version: i64) -> Done {
    Done::Written { path: path(at), version: Version(version) }
}

/// What stands at a path, after everything that was committed: value and version.
async fn read(store: &dyn Store, at: &str) -> Option<(Bytes, Version)> {
    store.sync().await.expect("the store can be synced");
    let entry = store.get(&path(at)).await.expect("the store can be read");
    entry.map(|entry| (entry.value, entry.version))
}

async fn names(store: &dyn Store, at: &str) -> Vec<String> {
    store.sync().await.expect("the store can be synced");
    store.children(&path(at)).await.expect("the store can be read")
}

async fn done(store: &dyn Store, ops: Vec<Op>) -> Vec<Done> {
    store.commit(ops).await.expect("the transaction is done")
}
