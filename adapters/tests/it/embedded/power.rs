//! A disk that loses power loses nothing that was acknowledged, whatever becomes of unsynced writes.

use std::sync::{Arc, Mutex, PoisonError};

use adapters::embedded::{Error, Retention};
use adapters::{EmbeddedBus, EmbeddedStore};
use futures::FutureExt as _;

use super::disk::Disk;
use super::scenario::{self, Ack, Expected};
use super::seed::{self, Choices};
use super::{WallClock, within};

const SEEDS: u64 = 150;
const FAILURES: u64 = 3;
/// How many calls a disk takes, at most, before its power fails.
const CALLS: u64 = 1_000;

fn open_bus(disk: &Disk) -> Result<EmbeddedBus, Error> {
    EmbeddedBus::on(disk.clone(), Arc::new(WallClock), Retention::default())
}

/// Runs until the power of both disks has failed; returns how much was acknowledged.
async fn fail(disks: &[Disk; 2], round: u64, expected: &mut Expected) {
    let acks = Mutex::new(Vec::<Ack>::new());
    let told = |ack| acks.lock().unwrap_or_else(PoisonError::into_inner).push(ack);
    // The power may fail while they are opened.
    let [of_bus, of_store] = disks;
    if let (Ok(bus), Ok(store)) = (open_bus(of_bus), EmbeddedStore::on(of_store.clone())) {
        within(scenario::write(&bus, &store, round, &told)).await;
        bus.close().await.unwrap();
        store.close().await.unwrap();
    }
    let acks = acks.into_inner().unwrap_or_else(PoisonError::into_inner);
    for ack in acks {
        expected.note(ack);
    }
}

async fn fail_again_and_again(seed: u64) -> usize {
    let mut choices = Choices::new(seed);
    let (of_bus, of_store) = (Disk::default(), Disk::default());
    // An empty database is there; making one is the file's concern.
    open_bus(&of_bus).unwrap().close().await.unwrap();
    EmbeddedStore::on(of_store.clone()).unwrap().close().await.unwrap();
    let mut disks = [of_bus, of_store];
    let mut expected = Expected::default();
    for round in 0..FAILURES {
        for disk in &disks {
            disk.fail_after(choices.below(CALLS));
        }
        fail(&disks, round, &mut expected).await;
        expected.note_crash();
        disks = disks.map(|disk| disk.after_failure(&mut choices));
        let [of_bus, of_store] = &disks;
        let bus = open_bus(of_bus).unwrap();
        let store = EmbeddedStore::on(of_store.clone()).unwrap();
        expected.check(&bus, &store).await;
        bus.close().await.unwrap();
        store.close().await.unwrap();
    }
    expected.acknowledged()
}

#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_without_power() {
    let first = seed::of_run();
    let mut acknowledged = 0;
    for seed in (0..SEEDS).map(|number| first.wrapping_add(number)) {
        let run = std::panic::AssertUnwindSafe(fail_again_and_again(seed)).catch_unwind().await;
        assert!(run.is_ok(), "run it again with AVISHKAR_TEST_SEED={seed}");
        acknowledged += run.unwrap_or_default();
    }
    assert!(acknowledged > 10_000, "only {acknowledged} acknowledgements");
}
