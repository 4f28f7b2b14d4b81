//! Clauses about sessions: ephemeral records, and what one client sees of another.

use std::sync::Arc;

use common::port::Store;
use common::port::store::{Done, Error, Lifetime, Op, Version};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::{PATIENCE, change, delete, done, make, names, path, read, text, written};

pub(super) async fn hold(open: &impl AsyncFn() -> Arc<dyn Store>) {
    a_synced_read_sees_what_others_committed_before(open).await;
    an_ephemeral_record_is_made_once_and_is_otherwise_a_record(open).await;
    ephemeral_records_end_with_their_session(open).await;
    nothing_is_made_below_an_ephemeral_record(open).await;
}

async fn a_synced_read_sees_what_others_committed_before(open: &impl AsyncFn() -> Arc<dyn Store>) {
    let (reader, writer) = (open().await, open().await);
    for round in 0..20 {
        let at = format!("/synced/{round}");
        done(writer.as_ref(), vec![make(&at, "written")]).await;
        assert_eq!(read(reader.as_ref(), &at).await, Some((text("written"), Version(0))));
    }
}

async fn an_ephemeral_record_is_made_once_and_is_otherwise_a_record(
    open: &impl AsyncFn() -> Arc<dyn Store>,
) {
    let (owner, other) = (open().await, open().await);
    let op = Op::PutEphemeral { path: path("/alive/one"), value: text("here") };
    assert_eq!(done(owner.as_ref(), vec![op.clone()]).await, [written("/alive/one", 0)]);
    for client in [&owner, &other] {
        let again = client.commit(vec![op.clone()]).await;
        assert!(matches!(again, Err(Error::Conflict { index: 0 })), "{again:?}");
    }
    done(other.as_ref(), vec![change("/alive/one", "changed", 0)]).await;
    assert_eq!(read(owner.as_ref(), "/alive/one").await, Some((text("changed"), Version(1))));
    done(other.as_ref(), vec![delete("/alive/one", 1)]).await;
    assert_eq!(read(owner.as_ref(), "/alive/one").await, None);
}

async fn ephemeral_records_end_with_their_session(open: &impl AsyncFn() -> Arc<dyn Store>) {
    let (owner, other) = (open().await, open().await);
    let numbered = Op::PutSequential {
        path: path("/leaving/n-"),
        value: text(""),
        lifetime: Lifetime::Ephemeral,
    };
    let plain = Op::PutEphemeral { path: path("/leaving/plain"), value: text("") };
    let left = done(owner.as_ref(), vec![numbered, plain, make("/leaving/kept", "")]).await;
    assert!(left.iter().all(|left| matches!(left, Done::Written { version: Version(0), .. })));
    assert_eq!(names(other.as_ref(), "/leaving").await.len(), 3);
    let mut hints = other.watch(&path("/leaving")).await.expect("the path can be watched");
    drop(owner);
    let kept = async {
        while names(other.as_ref(), "/leaving").await != ["kept"] {
            hints.next().await.expect("the watch goes on");
        }
    };
    timeout(PATIENCE, kept).await.expect("ephemeral records end with their session");
}

async fn nothing_is_made_below_an_ephemeral_record(open: &impl AsyncFn() -> Arc<dyn Store>) {
    let store = open().await;
    let op = Op::PutEphemeral { path: path("/bare"), value: text("") };
    done(store.as_ref(), vec![op]).await;
    let below = store.commit(vec![make("/bare/child", "")]).await;
    assert!(matches!(below, Err(Error::Refused(_))), "{below:?}");
}
