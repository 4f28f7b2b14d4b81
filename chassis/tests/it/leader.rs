//! Several instances of one service: who leads, who takes over, who notices that it no longer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::leader::{Election, Lost};
use chassis::lifecycle::{Lifecycle, Role};
use common::id::Epoch;
use common::port::Store as _;
use common::port::store::{Op, Precondition};
use common::record::leader::Advertised;
use common::service::ServiceName;
use testkit::MemoryStore;
use testkit::store::Fault;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// An instance on a session of its own, that works for as long as it leads.
struct Instance {
    store: MemoryStore,
    lifecycle: Lifecycle,
    done: Arc<AtomicBool>,
    running: JoinSet<(Epoch, Result<(), Lost>)>,
}

fn address(host: u8) -> Advertised {
    Advertised::plain(format!("192.0.2.{host}:8040"))
}

/// Starts an instance; its work ends when it is told to stop.
fn start(tree: &MemoryStore, host: u8) -> Instance {
    let (store, lifecycle, done) = (tree.session(), Lifecycle::new(), Arc::<AtomicBool>::default());
    lifecycle.stands_by(None);
    let (own, told, worked) = (store.clone(), lifecycle.clone(), Arc::clone(&done));
    let mut running = JoinSet::new();
    running.spawn(async move {
        let advertised = address(host);
        let service = ServiceName::NodeManager;
        let election = Election { store: &own, service, advertised: &advertised };
        let condition = told.condition("store");
        let leadership = election.win(&condition, &told).await;
        condition.holds();
        let epoch = leadership.lead().epoch;
        let work = async {
            told.stopping().await;
            worked.store(true, Ordering::Relaxed);
        };
        (epoch, leadership.during(work).await)
    });
    Instance { store, lifecycle, done, running }
}

impl Instance {
    async fn becomes(&self, role: Role) {
        let changed = async {
            while self.lifecycle.role() != role {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let changed = timeout(Duration::from_secs(20), changed).await;
        assert!(changed.is_ok(), "it is {:?}, not {role:?}", self.lifecycle.role());
    }

    async fn leads(&self) {
        self.becomes(Role::Leads).await;
    }

    async fn stands_by(&self, leader: u8) {
        self.becomes(Role::StandsBy { leader: Some(address(leader)) }).await;
    }

    async fn ends(mut self) -> (Epoch, Result<(), Lost>) {
        let ended = timeout(Duration::from_secs(20), self.running.join_next());
        ended.await.unwrap().unwrap().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_and_the_others_know_who() {
    let tree = MemoryStore::new();
    let first = start(&tree, 1);
    first.leads().await;
    let second = start(&tree, 2);
    second.stands_by(1).await;
    assert!(second.lifecycle.is_ready(), "who stands by is ready to");
    sleep(Duration::from_mins(1)).await;
    first.leads().await;
    second.stands_by(1).await;
}

#[tokio::test(start_paused = true)]
async fn who_stopped_lets_the_next_lead_at_once() {
    let tree = MemoryStore::new();
    let first = start(&tree, 1);
    first.leads().await;
    let second = start(&tree, 2);
    second.stands_by(1).await;
    let before = Instant::now();
    first.lifecycle.stop();
    second.leads().await;
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    let done = Arc::clone(&first.done);
    assert_eq!(first.ends().await, (Epoch(1), Ok(())));
    assert!(done.load(Ordering::Relaxed));
    second.lifecycle.stop();
    assert_eq!(second.ends().await, (Epoch(2), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn the_next_leads_when_the_leaders_session_ends() {
    let tree = MemoryStore::new();
    let first = start(&tree, 1);
    first.leads().await;
    let second = start(&tree, 2);
    second.stands_by(1).await;
    first.store.expire();
    second.leads().await;
    assert_eq!(first.ends().await, (Epoch(1), Err(Lost::Removed)));
}

#[tokio::test(start_paused = true)]
async fn who_starts_again_at_the_same_address_waits_for_no_session() {
    let tree = MemoryStore::new();
    let mut killed = start(&tree, 1);
    killed.leads().await;
    killed.running.abort_all();
    // The clone that is kept here keeps its session, as the server does for a while.
    let again = start(&tree, 1);
    again.leads().await;
    again.lifecycle.stop();
    assert_eq!(again.ends().await, (Epoch(2), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_not_sure_stops_before_its_session_can_end() {
    let tree = MemoryStore::new();
    let first = start(&tree, 1);
    first.leads().await;
    let before = Instant::now();
    tree.go_down();
    let done = Arc::clone(&first.done);
    assert_eq!(first.ends().await, (Epoch(1), Err(Lost::Unsure)));
    assert!(before.elapsed() < Duration::from_secs(6), "{:?}", before.elapsed());
    assert!(!done.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_changes_nothing() {
    let tree = MemoryStore::new();
    let first = start(&tree, 1);
    first.leads().await;
    for _ in 0..10 {
        tree.go_down();
        sleep(Duration::from_secs(2)).await;
        tree.come_back();
        sleep(Duration::from_secs(2)).await;
    }
    first.lifecycle.stop();
    assert_eq!(first.ends().await, (Epoch(1), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_paused_does_nothing_more() {
    let tree = MemoryStore::new();
    let store = tree.session();
    let (advertised, lifecycle) = (address(1), Lifecycle::new());
    let service = ServiceName::NodeManager;
    let election = Election { store: &store, service, advertised: &advertised };
    let condition = lifecycle.condition("store");
    let leadership = election.win(&condition, &lifecycle).await;
    let polled = AtomicBool::new(false);
    let work = async {
        sleep(Duration::from_secs(1)).await;
        polled.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    };
    let mut leading = Box::pin(leadership.during(work));
    assert!(futures::poll!(&mut leading).is_pending());
    // Nobody polls it for longer than its session lives.
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(leading.await, Err(Lost::Unsure));
    assert!(!polled.load(Ordering::Relaxed), "it worked on before it asked");
}

#[tokio::test(start_paused = true)]
async fn a_lead_whose_answer_was_lost_is_known_as_ones_own() {
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        for commit in 0..2 {
            let tree = MemoryStore::new();
            let store = tree.session();
            store.fail_commit_after(commit, fault);
            let (advertised, lifecycle) = (address(1), Lifecycle::new());
            let service = ServiceName::NodeManager;
            let election = Election { store: &store, service, advertised: &advertised };
            let condition = lifecycle.condition("store");
            let leadership = election.win(&condition, &lifecycle).await;
            let lead = leadership.lead();
            let path = "/x/1".parse().unwrap();
            let put = Op::Put { path, value: "1".into(), precondition: Precondition::Absent };
            store.commit(vec![lead.check(), put]).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_store_that_is_away_or_for_its_turn_is_never_silent() {
    let tree = MemoryStore::new();
    let leads = start(&tree, 1);
    leads.leads().await;
    let stands_by = start(&tree, 2);
    stands_by.stands_by(1).await;
    let never_silent = async || {
        for _ in 0..600 {
            sleep(Duration::from_secs(1)).await;
            for one in [&leads, &stands_by] {
                assert_eq!(one.lifecycle.silent_loops(), Vec::<&str>::new());
            }
        }
    };
    never_silent().await;
    tree.go_down();
    never_silent().await;
    assert!(!stands_by.lifecycle.loops().is_empty(), "it stands for the lead");
}

#[tokio::test(start_paused = true)]
async fn of_many_that_start_at_once_exactly_one_leads() {
    let tree = MemoryStore::new();
    let mut instances: Vec<Instance> = (1..=5).map(|host| start(&tree, host)).collect();
    for expected in 1..=5 {
        sleep(Duration::from_secs(5)).await;
        let leads = |one: &Instance| one.lifecycle.role() == Role::Leads;
        assert_eq!(instances.iter().filter(|one| leads(one)).count(), 1);
        let at = instances.iter().position(leads).unwrap();
        let leader = instances.remove(at);
        leader.store.expire();
        assert_eq!(leader.ends().await, (Epoch(expected), Err(Lost::Removed)));
    }
}
