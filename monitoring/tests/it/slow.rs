//! A store that answers everything, and takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::port::Store;
use common::port::store::{Change, Done, Entry, Error, Op, Path};
use common::record::path;
use futures::stream::BoxStream;
use testkit::MemoryStore;
use tokio::time::sleep;

use crate::world::{World, seconds};

/// Reads what was said of targets, and what is registered, slowly: that many after one another are no silence.
#[derive(Debug)]
struct Slow {
    store: MemoryStore,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl Store for Slow {
    async fn get(&self, path: &Path) -> Result<Option<Entry>, Error> {
        let slow = [path::folder("monitoring/targets"), "/services".parse().unwrap()];
        if slow.iter().any(|folder| path.is_within(folder)) {
            sleep(Duration::from_secs(9)).await;
            self.reads.fetch_add(1, Ordering::SeqCst);
        }
        self.store.get(path).await
    }

    async fn children(&self, path: &Path) -> Result<Vec<String>, Error> {
        self.store.children(path).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<Vec<Done>, Error> {
        self.store.commit(ops).await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.store.sync().await
    }

    async fn watch(&self, path: &Path) -> Result<BoxStream<'static, Change>, Error> {
        self.store.watch(path).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_is_no_silence_of_who_reads_it() {
    let world = World::with_everything();
    world.during(world.until_all_up()).await;
    let reads = Arc::new(AtomicUsize::new(0));
    let slow = Slow { store: world.store.session(), reads: Arc::clone(&reads) };
    let monitoring = world.monitoring_with(Arc::new(slow), 8070);
    let lifecycle = Lifecycle::new();
    let story = async {
        for _ in 0..300 {
            seconds(1).await;
            let silent = lifecycle.silent_loops();
            assert!(!silent.contains(&"rounds"), "after {reads:?} reads: {silent:?}");
        }
        assert!(reads.load(Ordering::SeqCst) > 20, "{reads:?}");
    };
    tokio::select! {
        biased;
        () = story => {}
        ended = monitoring.run(lifecycle.clone()) => panic!("the service ended: {ended:?}"),
    }
}
