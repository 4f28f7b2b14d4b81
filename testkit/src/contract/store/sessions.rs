//! Clauses about sessions: ephemeral records, and what one client sees of another.

use std::time::Duration;

use common::port::Store;
use common::port::store::{Done, Lifetime, Op};
use tokio::time::{sleep, timeout};

use super::{
    PATIENCE, World, change, conflicts, delete, done, ephemeral, is_refused, make, path, read,
    record, text, written,
};

/// How often is looked for what comes with time.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(super) async fn a_synced_read_sees_what_others_committed_before(world: &dyn World) {
    let (reader, writer) = (world.open().await, world.open().await);
    for round in 0..20 {
        let at = format!("/synced/{round}");
        done(writer.as_ref(), vec![make(&at, "written")]).await;
        let found = read(reader.as_ref(), &at).await;
        assert_eq!(found, Some(record("written", 0)), "it was committed before the sync");
    }
}

pub(super) async fn an_ephemeral_record_is_made_once(world: &dyn World) {
    let (owner, other) = (world.open().await, world.open().await);
    let op = ephemeral("/alive/one", "here");
    assert_eq!(done(owner.as_ref(), vec![op.clone()]).await, [written("/alive/one", 0)]);
    for client in [&owner, &other] {
        conflicts(client.as_ref(), op.clone(), "it is there").await;
    }
    assert_eq!(read(owner.as_ref(), "/alive/one").await, Some(record("here", 0)));
}

pub(super) async fn an_ephemeral_record_is_otherwise_a_record(world: &dyn World) {
    let (owner, other) = (world.open().await, world.open().await);
    done(owner.as_ref(), vec![ephemeral("/otherwise/one", "here")]).await;
    done(other.as_ref(), vec![change("/otherwise/one", "changed", 0)]).await;
    assert_eq!(read(owner.as_ref(), "/otherwise/one").await, Some(record("changed", 1)));
    done(other.as_ref(), vec![delete("/otherwise/one", 1)]).await;
    assert_eq!(read(owner.as_ref(), "/otherwise/one").await, None);
}

pub(super) async fn ephemeral_records_end_with_their_session(world: &dyn World) {
    let (owner, other) = (world.open().await, world.open().await);
    done(owner.as_ref(), vec![ephemeral("/leaving/one", "")]).await;
    assert_eq!(read(other.as_ref(), "/leaving/one").await, Some(record("", 0)));
    drop(owner);
    ends(other.as_ref(), "/leaving/one").await;
}

pub(super) async fn numbered_ephemeral_records_end_with_their_session(world: &dyn World) {
    let (owner, other) = (world.open().await, world.open().await);
    let (path, value) = (path("/leaving/n-"), text("numbered"));
    let op = Op::PutSequential { path, value, lifetime: Lifetime::Ephemeral };
    let left = done(owner.as_ref(), vec![op]).await;
    let [Done::Written { path: made, .. }] = left.as_slice() else {
        unreachable!("one record is written: {left:?}")
    };
    assert_eq!(read(other.as_ref(), made.as_str()).await, Some(record("numbered", 0)));
    drop(owner);
    ends(other.as_ref(), made.as_str()).await;
}

/// Waits until there is no such record.
async fn ends(store: &dyn Store, at: &str) {
    let gone = async {
        while read(store, at).await.is_some() {
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("ephemeral records end with their session");
}

/// Also one of the same transaction, and the parent of an ephemeral one.
pub(super) async fn persistent_records_outlive_their_session(world: &dyn World) {
    let (owner, other) = (world.open().await, world.open().await);
    let ops = vec![ephemeral("/staying/folder/leaves", ""), make("/staying/kept", "kept")];
    done(owner.as_ref(), ops).await;
    drop(owner);
    ends(other.as_ref(), "/staying/folder/leaves").await;
    assert_eq!(read(other.as_ref(), "/staying/kept").await, Some(record("kept", 0)), "it stays");
    assert_eq!(
        read(other.as_ref(), "/staying/folder").await,
        Some(record("", 0)),
        "the parent stays"
    );
}

pub(super) async fn ephemeral_records_outlive_the_sessions_of_others(world: &dyn World) {
    let (owner, other) = (world.open().await, world.open().await);
    done(owner.as_ref(), vec![ephemeral("/both/stays", "")]).await;
    done(other.as_ref(), vec![ephemeral("/both/leaves", "")]).await;
    drop(other);
    ends(owner.as_ref(), "/both/leaves").await;
    assert_eq!(
        read(owner.as_ref(), "/both/stays").await,
        Some(record("", 0)),
        "its session goes on"
    );
}

pub(super) async fn nothing_is_made_below_an_ephemeral_record(world: &dyn World) {
    let store = world.open().await;
    done(store.as_ref(), vec![ephemeral("/bare", "")]).await;
    let below = vec![make("/bare/child", "")];
    is_refused(store.as_ref(), below, "an ephemeral record has no children").await;
}
