//! Clauses about watches: hints, at least one after any change.

use common::port::Store;
use common::port::store::{Change, Done, Lifetime, Op};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::timeout;

use super::{PATIENCE, World, change, delete, done, ephemeral, make, path, text};

type Hints = BoxStream<'static, Change>;

async fn watch(store: &dyn Store, at: &str) -> Hints {
    store.watch(&path(at)).await.expect("the path can be watched")
}

/// Waits for a hint that covers the path.
async fn hinted(hints: &mut Hints, at: &str) {
    let covers = async {
        loop {
            match hints.next().await.expect("the watch goes on") {
                Change::Resync => return,
                Change::At(changed) if changed == path(at) => return,
                Change::At(_) => {}
            }
        }
    };
    assert!(timeout(PATIENCE, covers).await.is_ok(), "{at} is hinted at");
}

/// Of a path that is not there before, too.
pub(super) async fn hint_at_a_record_that_is_made(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    let mut hints = watch(watcher.as_ref(), "/made").await;
    done(writer.as_ref(), vec![make("/made", "")]).await;
    hinted(&mut hints, "/made").await;
}

pub(super) async fn hint_at_a_change(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    done(writer.as_ref(), vec![make("/changing", "0")]).await;
    let mut hints = watch(watcher.as_ref(), "/changing").await;
    done(writer.as_ref(), vec![change("/changing", "1", 0)]).await;
    hinted(&mut hints, "/changing").await;
}

pub(super) async fn hint_at_a_removal(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    done(writer.as_ref(), vec![make("/going", "")]).await;
    let mut hints = watch(watcher.as_ref(), "/going").await;
    done(writer.as_ref(), vec![delete("/going", 0)]).await;
    hinted(&mut hints, "/going").await;
}

pub(super) async fn hint_at_changes_far_below(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    let writer = writer.as_ref();
    done(writer, vec![make("/watched", "")]).await;
    let mut hints = watch(watcher.as_ref(), "/watched").await;
    for at in ["/watched/below", "/watched/far/below"] {
        done(writer, vec![make(at, "0")]).await;
        hinted(&mut hints, at).await;
        done(writer, vec![change(at, "1", 0)]).await;
        hinted(&mut hints, at).await;
        done(writer, vec![delete(at, 1)]).await;
        hinted(&mut hints, at).await;
    }
}

pub(super) async fn hint_again_and_again(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    done(writer.as_ref(), vec![make("/again", "")]).await;
    let mut hints = watch(watcher.as_ref(), "/again").await;
    for version in 0..3 {
        done(writer.as_ref(), vec![change("/again", "", version)]).await;
        hinted(&mut hints, "/again").await;
    }
}

pub(super) async fn hint_at_changes_of_their_own_client(world: &dyn World) {
    let store = world.open().await;
    done(store.as_ref(), vec![make("/own", "0")]).await;
    let mut hints = watch(store.as_ref(), "/own").await;
    done(store.as_ref(), vec![change("/own", "1", 0)]).await;
    hinted(&mut hints, "/own").await;
}

pub(super) async fn outlive_the_record(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    let writer = writer.as_ref();
    done(writer, vec![make("/outlived", "")]).await;
    let mut hints = watch(watcher.as_ref(), "/outlived").await;
    done(writer, vec![delete("/outlived", 0)]).await;
    hinted(&mut hints, "/outlived").await;
    done(writer, vec![make("/outlived", "anew")]).await;
    hinted(&mut hints, "/outlived").await;
    done(writer, vec![make("/outlived/below", "anew")]).await;
    hinted(&mut hints, "/outlived/below").await;
}

pub(super) async fn hint_at_every_record_of_a_transaction(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    let all = ["/several/a", "/several/b", "/several/c"];
    done(writer.as_ref(), vec![make("/several", "")]).await;
    for at in all {
        let mut hints = watch(watcher.as_ref(), at).await;
        done(writer.as_ref(), all.map(|at| make(at, "")).to_vec()).await;
        hinted(&mut hints, at).await;
        done(writer.as_ref(), all.map(|at| delete(at, 0)).to_vec()).await;
        hinted(&mut hints, at).await;
    }
}

pub(super) async fn hint_at_a_numbered_record_by_its_name(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    let mut hints = watch(watcher.as_ref(), "/turn").await;
    let (path, value) = (path("/turn/n-"), text(""));
    let op = Op::PutSequential { path, value, lifetime: Lifetime::Persistent };
    let left = done(writer.as_ref(), vec![op]).await;
    let [Done::Written { path: made, .. }] = left.as_slice() else {
        unreachable!("one record is written: {left:?}")
    };
    hinted(&mut hints, made.as_str()).await;
}

pub(super) async fn hint_at_the_end_of_a_session(world: &dyn World) {
    let (watcher, owner) = (world.open().await, world.open().await);
    done(owner.as_ref(), vec![ephemeral("/ended/one", "")]).await;
    let mut hints = watch(watcher.as_ref(), "/ended").await;
    drop(owner);
    hinted(&mut hints, "/ended/one").await;
}

pub(super) async fn that_nobody_reads_keep_a_hint_of_the_last_change(world: &dyn World) {
    let (watcher, writer) = (world.open().await, world.open().await);
    let mut hints = watch(watcher.as_ref(), "/flood").await;
    for round in 0..40 {
        let ops = (0..60).map(|number| make(&format!("/flood/{round}-{number}"), "")).collect();
        done(writer.as_ref(), ops).await;
    }
    done(writer.as_ref(), vec![make("/flood/last", "")]).await;
    hinted(&mut hints, "/flood/last").await;
}

pub(super) async fn of_one_path_are_independent(world: &dyn World) {
    let store = world.open().await;
    let mut first = watch(store.as_ref(), "/twice").await;
    let mut second = watch(store.as_ref(), "/twice").await;
    done(store.as_ref(), vec![make("/twice/a", "")]).await;
    hinted(&mut first, "/twice/a").await;
    hinted(&mut second, "/twice/a").await;
    drop(first);
    done(store.as_ref(), vec![make("/twice/b", "")]).await;
    hinted(&mut second, "/twice/b").await;
}

/// What happened in between was seen by nobody. And they go on.
pub(super) async fn say_that_the_connection_was_rebuilt(world: &dyn World) {
    let writer = world.open().await;
    let watcher = world.open().await;
    let mut hints = watch(watcher.as_ref(), "/cut").await;
    if !world.cut() {
        return;
    }
    let rebuilt = async { while hints.next().await.expect("it goes on") != Change::Resync {} };
    assert!(timeout(PATIENCE, rebuilt).await.is_ok(), "all must be read again");
    done(writer.as_ref(), vec![make("/cut", "")]).await;
    hinted(&mut hints, "/cut").await;
}

pub(super) async fn end_when_their_store_is_dropped(world: &dyn World) {
    let store = world.open().await;
    let mut hints = watch(store.as_ref(), "/ending").await;
    drop(store);
    let ended = async { while hints.next().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("the watch ends");
}
