//! [`ZkStore`] on a real `ZooKeeper`.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adapters::{ZkStore, ZooKeeperSettings};
use async_trait::async_trait;
use bytes::Bytes;
use common::port::Store;
use common::port::store::{Change, Error, MAX_OPS, Op, Path, Precondition, Version};
use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _};
use testkit::chaos_proxy::ChaosProxy;
use testkit::contract;
use tokio::time::{Instant, timeout};

/// Requests larger than this are transactions; pings and acknowledgements are smaller.
const TRANSACTION: usize = 40;
const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "the variable says where the test's server is")]
fn server() -> String {
    std::env::var("AVISHKAR_TEST_ZOOKEEPER")
        .expect("run `make test`: it starts ZooKeeper and sets AVISHKAR_TEST_ZOOKEEPER")
}

/// Runs a test under a chroot of its own, and removes it whatever happens.
async fn in_own_tree(test: impl AsyncFnOnce(ZooKeeperSettings)) {
    let name = RandomState::new().build_hasher().finish();
    let chroot: Path = format!("/avishkar-test-{name:016x}").parse().unwrap();
    let settings = ZooKeeperSettings::new(server());
    let own = ZooKeeperSettings { chroot: Some(chroot.clone()), ..settings.clone() };
    let result = AssertUnwindSafe(test(own)).catch_unwind().await;
    remove(&ZkStore::connect(&settings).unwrap(), &chroot).await;
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// Removes a record and everything below it.
async fn remove(store: &ZkStore, top: &Path) {
    let mut left = vec![top.clone()];
    let mut found = Vec::new();
    while let Some(path) = left.pop() {
        let names = store.children(&path).await.unwrap();
        left.extend(names.iter().map(|name| path.join(name).unwrap()));
        found.push(path);
    }
    found.reverse();
    for some in found.chunks(MAX_OPS) {
        let mut ops = Vec::new();
        for entries in join_all(some.iter().map(|path| store.get(path))).await.iter().zip(some) {
            let (Ok(Some(entry)), path) = entries else { continue };
            ops.push(Op::Delete { path: path.clone(), version: entry.version });
        }
        store.commit(ops).await.unwrap();
    }
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn make(at: &str) -> Vec<Op> {
    let value = Bytes::from_static(b"made");
    vec![Op::Put { path: path(at), value, precondition: Precondition::Absent }]
}

fn ephemeral(at: &str) -> Vec<Op> {
    vec![Op::PutEphemeral { path: path(at), value: Bytes::new() }]
}

/// A store behind a proxy, with the shortest session that servers of ours give.
async fn behind_proxy(settings: ZooKeeperSettings) -> (ZkStore, ChaosProxy) {
    let proxy = ChaosProxy::start(&settings.servers).await.unwrap();
    let servers = proxy.address().to_string();
    let session_timeout = Duration::from_secs(2);
    let store =
        ZkStore::connect(&ZooKeeperSettings { servers, session_timeout, ..settings }).unwrap();
    store.sync().await.unwrap();
    (store, proxy)
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it happens in time")
}

/// Clients of one tree, each behind a proxy of its own.
struct Clients {
    settings: ZooKeeperSettings,
    proxies: Mutex<Vec<ChaosProxy>>,
}

#[async_trait(?Send)]
impl contract::store::World for Clients {
    async fn open(&self) -> Arc<dyn Store> {
        let proxy = ChaosProxy::start(&self.settings.servers).await.unwrap();
        let servers = proxy.address().to_string();
        self.proxies.lock().unwrap().push(proxy);
        let settings = ZooKeeperSettings { servers, ..self.settings.clone() };
        Arc::new(ZkStore::connect(&settings).unwrap())
    }

    fn cut(&self) -> bool {
        self.proxies.lock().unwrap().last().unwrap().cut();
        true
    }
}

#[tokio::test]
async fn zookeeper_keeps_the_contract() {
    in_own_tree(async |settings| {
        contract::store::holds(&Clients { settings, proxies: Mutex::default() }).await;
    })
    .await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_out_by_repeating_it() {
    in_own_tree(async |settings| {
        let (store, proxy) = behind_proxy(settings).await;
        store.commit(make("/folder/first")).await.unwrap();
        proxy.cut_before_reply(TRANSACTION);
        let lost = store.commit(make("/folder/lost")).await;
        assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
        store.sync().await.unwrap();
        let again = store.commit(make("/folder/lost")).await;
        assert!(matches!(again, Err(Error::Conflict { index: 0 })), "{again:?}");
        let entry = store.get(&path("/folder/lost")).await.unwrap().unwrap();
        assert_eq!((entry.value.as_ref(), entry.version), (&b"made"[..], Version(0)));
    })
    .await;
}

#[tokio::test]
async fn a_commit_while_there_is_no_connection_is_unavailable_and_never_done() {
    in_own_tree(async |settings| {
        let (store, proxy) = behind_proxy(settings).await;
        store.commit(make("/first")).await.unwrap();
        proxy.refuse();
        let is_down = |outcome| matches!(outcome, Err(Error::Unavailable(_)));
        within(async { while !is_down(store.commit(make("/probe")).await) {} }).await;
        let began = Instant::now();
        let refused = store.commit(make("/refused")).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(began.elapsed() < Duration::from_secs(6), "the call has a deadline");
        proxy.forward();
        store.sync().await.unwrap();
        assert_eq!(store.get(&path("/refused")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_hold_a_call() {
    in_own_tree(async |settings| {
        let (store, proxy) = behind_proxy(settings).await;
        store.commit(make("/first")).await.unwrap();
        proxy.stall();
        let began = Instant::now();
        let unknown = store.commit(make("/stalled")).await;
        assert!(matches!(unknown, Err(Error::OutcomeUnknown(_))), "{unknown:?}");
        let unread = store.get(&path("/first")).await;
        assert!(matches!(unread, Err(Error::Unavailable(_))), "{unread:?}");
        assert!(began.elapsed() < Duration::from_secs(11), "each call has a deadline");
        proxy.forward();
        within(async { while store.get(&path("/first")).await.is_err() {} }).await;
    })
    .await;
}

#[tokio::test]
async fn a_read_outlives_a_lost_connection() {
    in_own_tree(async |settings| {
        let (store, proxy) = behind_proxy(settings).await;
        store.commit(make("/first")).await.unwrap();
        for _ in 0..5 {
            proxy.cut();
            assert!(store.get(&path("/first")).await.unwrap().is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn a_watch_outlives_a_lost_connection() {
    in_own_tree(async |settings| {
        let other = ZkStore::connect(&settings).unwrap();
        let (store, proxy) = behind_proxy(settings).await;
        let mut hints = store.watch(&path("/watched")).await.unwrap();
        for round in 0..3 {
            proxy.cut();
            within(async { while hints.next().await.unwrap() != Change::Resync {} }).await;
            let at = format!("/watched/{round}");
            other.commit(make(&at)).await.unwrap();
            within(async { while hints.next().await.unwrap() != Change::At(path(&at)) {} }).await;
        }
    })
    .await;
}

#[tokio::test]
async fn another_session_begins_when_one_expires_and_all_clones_share_it() {
    in_own_tree(async |settings| {
        let other = ZkStore::connect(&settings).unwrap();
        let (store, proxy) = behind_proxy(settings).await;
        let clone = store.clone();
        store.commit(ephemeral("/here/ephemeral")).await.unwrap();
        store.commit(make("/here/kept")).await.unwrap();
        let mut hints = store.watch(&path("/here")).await.unwrap();
        proxy.refuse();
        within(async {
            while other.children(&path("/here")).await.unwrap() != ["kept"] {
                tokio::task::yield_now().await;
            }
        })
        .await;
        proxy.forward();
        within(async { while hints.next().await.unwrap() != Change::Resync {} }).await;
        within(async { while clone.commit(ephemeral("/here/again")).await.is_err() {} }).await;
        within(async { while hints.next().await.unwrap() != Change::At(path("/here/again")) {} })
            .await;
        drop(store);
        assert_eq!(other.children(&path("/here")).await.unwrap(), ["again", "kept"]);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_comes_late_is_waited_for() {
    in_own_tree(async |settings| {
        let proxy = ChaosProxy::start(&settings.servers).await.unwrap();
        proxy.refuse();
        let servers = proxy.address().to_string();
        let store = ZkStore::connect(&ZooKeeperSettings { servers, ..settings }).unwrap();
        let early = store.get(&path("/first")).await;
        assert!(matches!(early, Err(Error::Unavailable(_))), "{early:?}");
        proxy.forward();
        within(async { while store.commit(make("/first")).await.is_err() {} }).await;
    })
    .await;
}

#[tokio::test]
async fn a_list_of_servers_that_is_none_is_refused() {
    for servers in ["", "a:2181,,b:2181", "a:2181/chroot"] {
        let refused = ZkStore::connect(&ZooKeeperSettings::new(servers));
        assert!(matches!(refused, Err(Error::Refused(_))), "{servers:?}");
    }
}
