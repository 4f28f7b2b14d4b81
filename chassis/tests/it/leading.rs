//! A service of which one instance leads: its frame, its writes, its held nodes.

mod held;
mod run;
mod seat;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leader::Lost;
use chassis::leading::{self, Leader, Seat};
use chassis::lifecycle::{Lifecycle, Role};
use chassis::service;
use common::id::Epoch;
use common::name::NodeName;
use common::port::Store as _;
use common::port::store::{Op, Path, Precondition};
use common::record::epoch::EpochRecord;
use common::record::leader::Advertised;
use common::record::{self, path};
use common::service::ServiceName;
use testkit::MemoryStore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

const SERVICE: ServiceName = ServiceName::NodeManager;

/// What an instance does, or where it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    UntilStop,
    /// Goes on when it is told to stop: whoever ends it must drop it.
    ForEver,
    EndsByItself,
    Panics,
}

/// A leader that counts what is asked of it.
#[derive(Debug)]
struct Worker {
    task: Task,
    failures_left: AtomicUsize,
    started: AtomicUsize,
    worked: AtomicUsize,
    at_work: AtomicBool,
    stands_by: AtomicBool,
}

/// Says that it is over, however it came to its end.
struct AtWork<'a>(&'a AtomicBool);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Worker {
    fn new(task: Task, failures: usize) -> Arc<Self> {
        Arc::new(Worker {
            task,
            failures_left: AtomicUsize::new(failures),
            started: AtomicUsize::default(),
            worked: AtomicUsize::default(),
            at_work: AtomicBool::default(),
            stands_by: AtomicBool::default(),
        })
    }

    fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed)
    }

    fn is_standing_by(&self) -> bool {
        self.stands_by.load(Ordering::Relaxed)
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    fn worked(&self) -> usize {
        self.worked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Leader for Worker {
    async fn stand_by(&self, _: &Lifecycle) {
        self.stands_by.store(true, Ordering::Relaxed);
        let _standing_by = AtWork(&self.stands_by);
        std::future::pending::<()>().await;
    }

    async fn start(&self) -> Result<(), service::Error> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let left = self.failures_left.load(Ordering::Relaxed);
        self.failures_left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left > 0 { Err("nothing can be read".into()) } else { Ok(()) }
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        self.worked.fetch_add(1, Ordering::Relaxed);
        assert!(!self.at_work.swap(true, Ordering::Relaxed), "it works twice at once");
        let _at_work = AtWork(&self.at_work);
        sleep(Duration::from_secs(1)).await;
        assert_ne!(self.task, Task::Panics, "a loop is broken");
        match self.task {
            Task::UntilStop => lifecycle.stopping().await,
            Task::ForEver => std::future::pending().await,
            Task::EndsByItself | Task::Panics => {}
        }
    }
}

/// An instance that runs on a session of its own.
struct Instance {
    store: MemoryStore,
    seat: Arc<Seat>,
    worker: Arc<Worker>,
    lifecycle: Lifecycle,
    running: JoinSet<Result<(), Lost>>,
}

fn address(host: u8) -> Advertised {
    Advertised::plain(format!("192.0.2.{host}:8040"))
}

fn seat(store: &MemoryStore, host: u8) -> Seat {
    Seat::new(SERVICE, Arc::new(store.clone()), address(host))
}

impl Instance {
    fn start(tree: &MemoryStore, host: u8, worker: &Arc<Worker>) -> Self {
        let (store, lifecycle) = (tree.session(), Lifecycle::new());
        lifecycle.stands_by(None);
        let seat = Arc::new(seat(&store, host));
        let (own, told, leader) = (Arc::clone(&seat), lifecycle.clone(), Arc::clone(worker));
        let mut running = JoinSet::new();
        running.spawn(async move { leading::run_until_lost(leader.as_ref(), &own, &told).await });
        Instance { store, seat, worker: Arc::clone(worker), lifecycle, running }
    }

    /// It leads, and does so until it is told to stop.
    async fn working(tree: &MemoryStore, host: u8) -> Self {
        let instance = Instance::start(tree, host, &Worker::new(Task::UntilStop, 0));
        instance.works().await;
        instance
    }

    async fn works(&self) {
        until("it works", || self.worker.is_at_work()).await;
    }

    async fn stands_by(&self, leader: u8) {
        let role = Role::StandsBy { leader: Some(address(leader)) };
        until("it stands by", || self.lifecycle.role() == role).await;
    }

    /// None where it panicked.
    async fn ends(&mut self) -> Option<Result<(), Lost>> {
        let ended = timeout(Duration::from_secs(20), self.running.join_next());
        let ended = ended.await.expect("it ends in time").unwrap();
        assert!(ended.as_ref().err().is_none_or(JoinError::is_panic), "{ended:?}");
        ended.ok()
    }

    /// Why the condition `store` does not hold.
    fn hindrance(&self) -> Option<String> {
        self.lifecycle.readiness().remove("store").and_then(Result::err)
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(Duration::from_secs(30), looking).await.is_ok(), "not in time: {what}");
}

fn put(name: &str) -> Op {
    Op::Put { path: at(name), value: "1".into(), precondition: Precondition::Absent }
}

fn at(name: &str) -> Path {
    format!("/x/{name}").parse().unwrap()
}

async fn is_there(store: &MemoryStore, name: &str) -> bool {
    store.sync().await.unwrap();
    store.get(&at(name)).await.unwrap().is_some()
}

fn node(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// Somebody takes the epoch after `epoch`, while the record of whoever has that one still stands.
async fn overtake(tree: &MemoryStore, epoch: Epoch) {
    let path = path::epoch(SERVICE);
    tree.sync().await.unwrap();
    let before = tree.get(&path).await.unwrap().unwrap();
    let taken = EpochRecord { schema: 1, epoch: epoch.next(), taken_by: "candidate-9".to_owned() };
    let value = record::encode(&taken);
    let precondition = Precondition::Version(before.version);
    tree.commit(vec![Op::Put { path, value, precondition }]).await.unwrap();
}
