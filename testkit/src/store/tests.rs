use super::*;
use crate::contract;
use common::port::store::{Precondition, Version};
use futures::{FutureExt as _, StreamExt as _};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn put(at: &str, value: &'static str, precondition: Precondition) -> Op {
    Op::Put { path: path(at), value: Bytes::from_static(value.as_bytes()), precondition }
}

async fn value(store: &MemoryStore, at: &str) -> Option<Bytes> {
    store.get(&path(at)).await.unwrap().map(|entry| entry.value)
}

/// Clients of one tree.
#[derive(Default)]
struct Clients {
    first: MemoryStore,
    last: Mutex<Weak<MemoryStore>>,
}

#[async_trait(?Send)]
impl contract::store::World for Clients {
    async fn open(&self) -> Arc<dyn Store> {
        let client = Arc::new(self.first.session());
        *self.last.lock().unwrap() = Arc::downgrade(&client);
        client
    }

    fn cut(&self) -> bool {
        self.last.lock().unwrap().upgrade().unwrap().reconnect();
        true
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_in_memory_keeps_the_contract() {
    contract::store::holds(&Clients::default()).await;
}

#[tokio::test]
async fn frozen_reads_show_the_past_until_a_sync() {
    let reader = MemoryStore::new();
    let writer = reader.session();
    reader.freeze_reads();
    writer.commit(vec![put("/a/b", "new", Precondition::Absent)]).await.unwrap();
    assert_eq!(value(&reader, "/a/b").await, None);
    assert!(reader.children(&path("/a")).await.unwrap().is_empty());
    reader.sync().await.unwrap();
    assert_eq!(value(&reader, "/a/b").await, Some(Bytes::from_static(b"new")));
    let again = put("/a/b", "newer", Precondition::Version(Version(0)));
    writer.commit(vec![again]).await.unwrap();
    assert_eq!(value(&reader, "/a/b").await, Some(Bytes::from_static(b"new")));
    reader.thaw_reads();
    assert_eq!(value(&reader, "/a/b").await, Some(Bytes::from_static(b"newer")));
}

#[tokio::test]
async fn an_expired_session_loses_its_ephemeral_records_only() {
    let store = MemoryStore::new();
    let other = store.session();
    let ephemeral = |at| Op::PutEphemeral { path: path(at), value: Bytes::new() };
    store
        .commit(vec![ephemeral("/l/mine"), put("/l/kept", "", Precondition::Absent)])
        .await
        .unwrap();
    other.commit(vec![ephemeral("/l/theirs")]).await.unwrap();
    let mut hints = other.watch(&path("/l")).await.unwrap();
    let mut own_hints = store.watch(&path("/l")).await.unwrap();
    store.expire();
    assert_eq!(other.children(&path("/l")).await.unwrap(), ["kept", "theirs"]);
    assert_eq!(hints.next().await, Some(Change::At(path("/l/mine"))));
    assert_eq!(own_hints.next().await, Some(Change::Resync));
    store.commit(vec![ephemeral("/l/mine")]).await.unwrap();
}

#[tokio::test]
async fn injected_faults_hit_the_commit_they_were_meant_for() {
    let store = MemoryStore::new();
    store.fail_commit_after(1, Fault::AnswerLost);
    store.fail_commit(Fault::RequestLost);
    store.fail_commit(Fault::Unavailable);
    let make = |at| vec![put(at, "", Precondition::Absent)];
    assert!(store.commit(make("/1")).await.is_ok());
    assert!(matches!(store.commit(make("/2")).await, Err(Error::OutcomeUnknown(_))));
    assert!(matches!(store.commit(make("/3")).await, Err(Error::OutcomeUnknown(_))));
    assert!(matches!(store.commit(make("/4")).await, Err(Error::Unavailable(_))));
    assert!(store.commit(make("/5")).await.is_ok());
    for (at, is_there) in [("/1", true), ("/2", true), ("/3", false), ("/4", false), ("/5", true)] {
        assert_eq!(value(&store, at).await.is_some(), is_there, "{at}");
    }
}

#[tokio::test]
async fn an_outage_refuses_everything_and_ends_in_a_resync() {
    let store = MemoryStore::new();
    let mut hints = store.watch(&path("/a")).await.unwrap();
    store.go_down();
    assert!(matches!(store.get(&path("/a")).await, Err(Error::Unavailable(_))));
    assert!(matches!(store.sync().await, Err(Error::Unavailable(_))));
    assert!(hints.next().now_or_never().is_none());
    store.come_back();
    assert_eq!(hints.next().await, Some(Change::Resync));
    assert!(store.get(&path("/a")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_seed_overwrites_and_is_hinted_at() {
    let store = MemoryStore::new();
    let mut hints = store.watch(&path("/a")).await.unwrap();
    store.seed(&path("/a/b"), Bytes::from_static(b"1"));
    store.seed(&path("/a/b"), Bytes::from_static(b"2"));
    assert_eq!(hints.next().await, Some(Change::At(path("/a"))));
    assert_eq!(hints.next().await, Some(Change::At(path("/a/b"))));
    let below = store.records(&path("/a"));
    assert_eq!(below, [(path("/a"), Bytes::new()), (path("/a/b"), Bytes::from_static(b"2"))]);
}

#[tokio::test]
async fn a_commit_that_is_stuck_never_answers() {
    let store = MemoryStore::new();
    for (fault, at, is_there) in
        [(Fault::RequestStuck, "/before", false), (Fault::AnswerStuck, "/after", true)]
    {
        store.fail_commit(fault);
        assert_eq!(store.faults_left(), 1);
        let commit = store.commit(vec![put(at, "", Precondition::Absent)]);
        let patience = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(patience, commit).await.is_err());
        assert_eq!(store.faults_left(), 0);
        assert_eq!(value(&store, at).await.is_some(), is_there, "{at}");
    }
}
