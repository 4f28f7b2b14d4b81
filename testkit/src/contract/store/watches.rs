//! Clauses about watches: hints, at least one after any change.

use std::sync::Arc;

use common::port::Store;
use common::port::store::{Change, Path};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::time::timeout;

use super::{PATIENCE, change, delete, done, make, path};

pub(super) async fn hold(open: &impl AsyncFn() -> Arc<dyn Store>) {
    every_kind_of_change_is_hinted_at(open).await;
    a_watch_that_nobody_reads_keeps_a_hint_of_the_last_change(open).await;
    two_watches_of_one_path_both_get_hints(open).await;
    a_watch_ends_when_its_store_is_dropped(open).await;
}

/// Waits for a hint that covers the path.
async fn hinted(hints: &mut BoxStream<'static, Change>, at: &str) {
    let covers = async {
        loop {
            match hints.next().await.expect("the watch goes on") {
                Change::Resync => return,
                Change::At(changed) if changed == path(at) => return,
                Change::At(_) => {}
            }
        }
    };
    timeout(PATIENCE, covers).await.expect("a change is hinted at");
}

async fn watch(store: &dyn Store, at: &Path) -> BoxStream<'static, Change> {
    store.watch(at).await.expect("the path can be watched")
}

async fn every_kind_of_change_is_hinted_at(open: &impl AsyncFn() -> Arc<dyn Store>) {
    let (watcher, writer) = (open().await, open().await);
    // Nothing is there yet.
    let mut hints = watch(watcher.as_ref(), &path("/watched")).await;
    let writer = writer.as_ref();
    done(writer, vec![make("/watched", "0")]).await;
    hinted(&mut hints, "/watched").await;
    done(writer, vec![change("/watched", "1", 0)]).await;
    hinted(&mut hints, "/watched").await;
    done(writer, vec![make("/watched/far/below", "0")]).await;
    hinted(&mut hints, "/watched/far/below").await;
    done(writer, vec![change("/watched/far/below", "1", 0)]).await;
    hinted(&mut hints, "/watched/far/below").await;
    done(writer, vec![delete("/watched/far/below", 1)]).await;
    hinted(&mut hints, "/watched/far/below").await;
    done(watcher.as_ref(), vec![make("/watched/own", "0")]).await;
    hinted(&mut hints, "/watched/own").await;
    done(writer, vec![delete("/watched/own", 0), delete("/watched/far", 0)]).await;
    done(writer, vec![delete("/watched", 1)]).await;
    hinted(&mut hints, "/watched").await;
    done(writer, vec![make("/watched", "anew")]).await;
    hinted(&mut hints, "/watched").await;
}

async fn a_watch_that_nobody_reads_keeps_a_hint_of_the_last_change(
    open: &impl AsyncFn() -> Arc<dyn Store>,
) {
    let (watcher, writer) = (open().await, open().await);
    let mut hints = watch(watcher.as_ref(), &path("/flood")).await;
    for round in 0..40 {
        let ops = (0..60).map(|number| make(&format!("/flood/{round}-{number}"), "")).collect();
        done(writer.as_ref(), ops).await;
    }
    done(writer.as_ref(), vec![make("/flood/last", "")]).await;
    hinted(&mut hints, "/flood/last").await;
}

async fn two_watches_of_one_path_both_get_hints(open: &impl AsyncFn() -> Arc<dyn Store>) {
    let store = open().await;
    let mut first = watch(store.as_ref(), &path("/twice")).await;
    let mut second = watch(store.as_ref(), &path("/twice")).await;
    done(store.as_ref(), vec![make("/twice/a", "")]).await;
    hinted(&mut first, "/twice/a").await;
    hinted(&mut second, "/twice/a").await;
    drop(first);
    done(store.as_ref(), vec![make("/twice/b", "")]).await;
    hinted(&mut second, "/twice/b").await;
}

async fn a_watch_ends_when_its_store_is_dropped(open: &impl AsyncFn() -> Arc<dyn Store>) {
    let store = open().await;
    let mut hints = watch(store.as_ref(), &path("/ending")).await;
    drop(store);
    let ended = async { while hints.next().await.is_some() {} };
    timeout(PATIENCE, ended).await.expect("the watch ends");
}
