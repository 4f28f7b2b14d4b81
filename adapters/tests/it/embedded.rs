//! [`EmbeddedBus`] and [`EmbeddedStore`]: the contracts, and what a process of their own means.

mod bad_days;
mod disk;
mod kill;
mod power;
mod retention;
mod scenario;
mod seed;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters::embedded::{Folder, Retention};
use adapters::{EmbeddedBus, EmbeddedStore};
use async_trait::async_trait;
use bytes::Bytes;
use common::port::bus::{Consumer, Error as BusError, Header, Offset, Record};
use common::port::store::{Change, Error as StoreError, Lifetime, Op, Path, Precondition, Version};
use common::port::{Bus, Clock, Store};
use common::topic::{Topic, TopicName};
use futures::StreamExt as _;
use futures::future::join_all;
use jiff::Timestamp;
use tempfile::TempDir;
use testkit::contract;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "records are stamped as they come")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn open_bus(folder: &Folder) -> EmbeddedBus {
    EmbeddedBus::open(folder, Arc::new(WallClock), Retention::default()).unwrap()
}

fn topic() -> TopicName {
    Topic::DeploymentManager.into()
}

fn record(payload: impl Into<Bytes>) -> Record {
    Record { key: Some("shop".to_owned()), headers: Vec::new(), payload: payload.into() }
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn make(at: &str) -> Op {
    let value = Bytes::from_static(b"made");
    Op::Put { path: path(at), value, precondition: Precondition::Absent }
}

fn ephemeral(at: &str) -> Op {
    Op::PutEphemeral { path: path(at), value: Bytes::new() }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it happens in time")
}

async fn payload(consumer: &mut dyn Consumer) -> Bytes {
    within(consumer.next()).await.unwrap().record.payload
}

/// Each bus is a folder of its own.
struct Folders {
    place: TempDir,
    opened: AtomicUsize,
    last: Mutex<Option<EmbeddedBus>>,
}

impl Folders {
    fn open_last(&self) -> Arc<dyn Bus> {
        let number = self.opened.load(Ordering::Relaxed).to_string();
        let folder = Folder::open(&self.place.path().join(number)).unwrap();
        Arc::new(self.last.lock().unwrap().insert(open_bus(&folder)).clone())
    }
}

#[async_trait(?Send)]
impl contract::bus::World for Folders {
    async fn open(&self) -> Arc<dyn Bus> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.open_last()
    }

    async fn reopen(&self) -> Arc<dyn Bus> {
        let last = self.last.lock().unwrap().take().unwrap();
        last.close().await.unwrap();
        drop(last);
        self.open_last()
    }

    fn clock(&self) -> &dyn Clock {
        &WallClock
    }
}

#[tokio::test]
async fn the_embedded_bus_keeps_the_contract() {
    let place = tempfile::tempdir().unwrap();
    let folders = Folders { place, opened: AtomicUsize::new(0), last: Mutex::default() };
    contract::bus::holds(&folders).await;
}

#[tokio::test]
async fn the_embedded_store_keeps_the_contract() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let store = EmbeddedStore::open(&folder).unwrap();
    contract::store::holds(&async move || Arc::new(store.session()) as Arc<dyn Store>).await;
}

#[tokio::test]
async fn records_and_positions_outlive_the_process() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let bus = open_bus(&folder);
    bus.ensure_topics(&[topic()]).await.unwrap();
    let headers = vec![Header { name: "id".to_owned(), value: Bytes::from_static(b"\xff") }];
    let sent = Record { headers, ..record("a") };
    bus.publish(&topic(), sent.clone()).await.unwrap();
    bus.publish(&topic(), record("b")).await.unwrap();
    let mut consumer = bus.consume(&topic(), "group").await.unwrap();
    assert_eq!(within(consumer.next()).await.unwrap().record, sent);
    consumer.commit(Offset(1)).await.unwrap();
    bus.close().await.unwrap();
    drop((bus, consumer, folder));

    let bus = open_bus(&Folder::open(place.path()).unwrap());
    assert_eq!(bus.end(&topic()).await.unwrap(), Offset(2));
    let mut consumer = bus.consume(&topic(), "group").await.unwrap();
    assert_eq!(payload(consumer.as_mut()).await, "b");
    let mut reader = bus.read(&topic(), Offset(0)).await.unwrap();
    assert_eq!(within(reader.next()).await.unwrap().record, sent);
    assert_eq!(bus.publish(&topic(), record("c")).await.unwrap(), Offset(2));
}

#[tokio::test]
async fn a_position_of_a_log_that_is_no_more_means_the_beginning() {
    let place = tempfile::tempdir().unwrap();
    let bus = open_bus(&Folder::open(place.path()).unwrap());
    bus.ensure_topics(&[topic()]).await.unwrap();
    bus.publish(&topic(), record("first")).await.unwrap();
    let mut consumer = bus.consume(&topic(), "group").await.unwrap();
    consumer.commit(Offset(7)).await.unwrap();
    let mut successor = bus.consume(&topic(), "group").await.unwrap();
    assert_eq!(payload(successor.as_mut()).await, "first");
    let mut reader = bus.read(&topic(), Offset(7)).await.unwrap();
    assert_eq!(payload(reader.as_mut()).await, "first");
}

#[tokio::test]
async fn a_bus_that_was_closed_says_so_to_those_who_wait() {
    let place = tempfile::tempdir().unwrap();
    let bus = open_bus(&Folder::open(place.path()).unwrap());
    bus.ensure_topics(&[topic()]).await.unwrap();
    let mut consumer = bus.consume(&topic(), "group").await.unwrap();
    let closing = async { bus.close().await.unwrap() };
    let (waited, ()) = within(async { tokio::join!(consumer.next(), closing) }).await;
    assert!(matches!(waited, Err(BusError::Unavailable(_))), "{waited:?}");
    let late = [
        consumer.commit(Offset(1)).await,
        consumer.next().await.map(drop),
        bus.publish(&topic(), record("late")).await.map(drop),
        bus.end(&topic()).await.map(drop),
        bus.consume(&topic(), "group").await.map(drop),
    ];
    for refused in late {
        assert!(matches!(refused, Err(BusError::Unavailable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn records_and_numbers_outlive_the_process_and_ephemeral_ones_do_not() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let store = EmbeddedStore::open(&folder).unwrap();
    let numbered = |lifetime| {
        let (path, value) = (path("/leaders/n-"), Bytes::new());
        vec![Op::PutSequential { path, value, lifetime }]
    };
    store.commit(vec![make("/kept"), ephemeral("/alive/one")]).await.unwrap();
    store.commit(numbered(Lifetime::Ephemeral)).await.unwrap();
    store.close().await.unwrap();
    let late = store.commit(vec![make("/late")]).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    drop((store, folder));

    let store = EmbeddedStore::open(&Folder::open(place.path()).unwrap()).unwrap();
    assert!(store.get(&path("/kept")).await.unwrap().is_some());
    assert_eq!(store.get(&path("/late")).await.unwrap(), None);
    assert!(store.children(&path("/alive")).await.unwrap().is_empty());
    assert!(store.children(&path("/leaders")).await.unwrap().is_empty());
    store.commit(numbered(Lifetime::Persistent)).await.unwrap();
    assert_eq!(store.children(&path("/leaders")).await.unwrap(), ["n-0000000001"]);
}

#[tokio::test]
async fn a_session_ends_after_what_it_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&Folder::open(place.path()).unwrap()).unwrap();
    for round in 0..200 {
        let session = store.session();
        let commit = session.commit(vec![ephemeral(&format!("/alive/{round}"))]);
        // Asked for, and given up before there is an answer.
        assert!(futures::poll!(commit).is_pending());
        drop(session);
        store.sync().await.unwrap();
        assert!(store.children(&path("/alive")).await.unwrap().is_empty(), "round {round}");
    }
}

#[tokio::test]
async fn a_watch_hears_of_a_session_that_ends() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&Folder::open(place.path()).unwrap()).unwrap();
    let owner = store.session();
    owner.commit(vec![ephemeral("/alive/one")]).await.unwrap();
    let mut hints = store.watch(&path("/alive")).await.unwrap();
    drop(owner);
    assert_eq!(within(hints.next()).await, Some(Change::At(path("/alive/one"))));
}

#[tokio::test]
async fn transactions_that_share_a_sync_do_not_share_their_fate() {
    let place = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&Folder::open(place.path()).unwrap()).unwrap();
    store.commit(vec![make("/shared")]).await.unwrap();
    let transactions = (0..100).map(|number| {
        let check = Op::Check { path: path("/shared"), version: Version(number % 2) };
        store.commit(vec![make(&format!("/made/{number:02}")), check])
    });
    let outcomes = join_all(transactions).await;
    let names = store.children(&path("/made")).await.unwrap();
    for (number, outcome) in outcomes.iter().enumerate() {
        let is_made = names.contains(&format!("{number:02}"));
        match outcome {
            Ok(_) => assert!(is_made && number % 2 == 0, "{number}"),
            Err(StoreError::Conflict { index: 1 }) => assert!(!is_made && number % 2 == 1),
            Err(other) => unreachable!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_large_file_that_is_mostly_empty_is_compacted_when_it_is_opened() {
    const RECORDS: i64 = 640;
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let size = || std::fs::metadata(place.path().join("store.redb")).unwrap().len();
    let store = EmbeddedStore::open(&folder).unwrap();
    let at = |number| path(&format!("/large/{number}"));
    let put = |number| {
        let value = Bytes::from(vec![b'x'; 60_000]);
        Op::Put { path: at(number), value, precondition: Precondition::Absent }
    };
    join_all((0..RECORDS).map(|number| store.commit(vec![put(number)]))).await;
    // Those at the end of the file stay, so that it cannot just be cut.
    let remove = |number| Op::Delete { path: at(number), version: Version(0) };
    join_all((0..RECORDS - 20).map(|number| store.commit(vec![remove(number)]))).await;
    store.close().await.unwrap();
    let before = size();
    let store = EmbeddedStore::open(&folder).unwrap();
    assert!(before > 35_000_000 && size() < 5_000_000, "from {before} to {}", size());
    let left = store.children(&path("/large")).await.unwrap();
    let expected: Vec<String> = (RECORDS - 20..RECORDS).map(|number| number.to_string()).collect();
    assert_eq!(left, expected);
    for number in RECORDS - 20..RECORDS {
        assert_eq!(store.get(&at(number)).await.unwrap().unwrap().value.len(), 60_000);
    }
}
