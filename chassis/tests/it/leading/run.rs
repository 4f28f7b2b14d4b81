use std::sync::Arc;
use std::time::Duration;

use chassis::leader::{Election, Lost};
use chassis::leading;
use chassis::lifecycle::{Lifecycle, Role};
use common::port::Store as _;
use common::record::path;
use testkit::MemoryStore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Instance, SERVICE, Task, Worker, address, overtake, put, until};

#[tokio::test(start_paused = true)]
async fn the_leader_starts_then_works_and_is_ready_and_registered() {
    let tree = MemoryStore::new();
    let first = Instance::working(&tree, 1).await;
    assert_eq!((first.worker.started(), first.worker.worked()), (1, 1));
    until("it is ready", || first.lifecycle.is_ready()).await;
    assert_eq!(first.lifecycle.role(), Role::Leads);
    tree.sync().await.unwrap();
    let entry = tree.get(&path::registry_service(SERVICE)).await.unwrap().unwrap();
    assert_eq!(entry.value, "192.0.2.1:8040");
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_does_only_that_and_is_ready() {
    let tree = MemoryStore::new();
    let _first = Instance::working(&tree, 1).await;
    let second = Instance::start(&tree, 2, &Worker::new(Task::UntilStop, 0));
    second.stands_by(1).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(second.worker.started(), 0);
    assert!(second.worker.is_standing_by() && second.lifecycle.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_work_and_lets_the_next_lead_at_once() {
    let tree = MemoryStore::new();
    let mut first = Instance::working(&tree, 1).await;
    let second = Instance::start(&tree, 2, &Worker::new(Task::UntilStop, 0));
    second.stands_by(1).await;
    let before = Instant::now();
    first.lifecycle.stop();
    assert_eq!(first.ends().await, Some(Ok(())));
    second.works().await;
    assert!(!second.worker.is_standing_by());
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_standing_by_is_no_error_and_nothing_was_done() {
    let tree = MemoryStore::new();
    let _first = Instance::working(&tree, 1).await;
    let mut second = Instance::start(&tree, 2, &Worker::new(Task::UntilStop, 0));
    second.stands_by(1).await;
    second.lifecycle.stop();
    assert_eq!(second.ends().await, Some(Ok(())));
    assert_eq!(second.worker.started(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_the_store_is_away_is_no_error() {
    let tree = MemoryStore::new();
    tree.go_down();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::UntilStop, 0));
    sleep(Duration::from_secs(10)).await;
    assert_ne!(first.hindrance(), None);
    first.lifecycle.stop();
    assert_eq!(first.ends().await, Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_is_tried_again_and_what_is_in_the_way_is_told() {
    let tree = MemoryStore::new();
    let first = Instance::start(&tree, 1, &Worker::new(Task::UntilStop, 4));
    until("it has failed", || first.worker.started() == 2).await;
    assert_eq!(first.hindrance().unwrap(), "nothing can be read");
    assert_eq!(first.worker.worked(), 0);
    first.works().await;
    assert_eq!((first.worker.started(), first.hindrance()), (5, None));
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_start_that_fails_leaves_the_lead_to_the_next() {
    let tree = MemoryStore::new();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::UntilStop, usize::MAX));
    until("it has failed", || first.worker.started() == 3).await;
    let second = Instance::start(&tree, 2, &Worker::new(Task::UntilStop, 0));
    second.stands_by(1).await;
    first.lifecycle.stop();
    assert_eq!(first.ends().await, Some(Ok(())));
    assert_eq!(first.worker.worked(), 0);
    second.works().await;
}

#[tokio::test(start_paused = true)]
async fn work_is_dropped_where_the_lead_is_lost_in_the_middle_of_it() {
    let tree = MemoryStore::new();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::ForEver, 0));
    first.works().await;
    first.store.expire();
    assert_eq!(first.ends().await, Some(Err(Lost::Removed)));
    assert!(!first.worker.is_at_work());
    assert_eq!(first.lifecycle.role(), Role::StandsBy { leader: None });
}

#[tokio::test(start_paused = true)]
async fn a_start_is_dropped_where_the_lead_is_lost_in_the_middle_of_it() {
    let tree = MemoryStore::new();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::UntilStop, usize::MAX));
    until("it has failed", || first.worker.started() == 3).await;
    first.store.expire();
    assert_eq!(first.ends().await, Some(Err(Lost::Removed)));
    assert_eq!(first.worker.worked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_ends_the_run_at_once() {
    let tree = MemoryStore::new();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::ForEver, 0));
    first.works().await;
    overtake(&tree, first.seat.epoch().unwrap()).await;
    sleep(Duration::from_secs(10)).await;
    assert!(first.worker.is_at_work(), "its own record stands: nothing has told it");
    first.seat.commit(vec![put("1")]).await.unwrap_err();
    let before = Instant::now();
    let lost = first.ends().await.unwrap().unwrap_err();
    assert_eq!(
        (lost, lost.to_string().as_str()),
        (Lost::Deposed(SERVICE), "another node manager leads")
    );
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(!first.worker.is_at_work());
    assert_eq!(first.lifecycle.role(), Role::StandsBy { leader: None });
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_by_itself_leaves_the_lead_to_the_next() {
    let tree = MemoryStore::new();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::EndsByItself, 0));
    first.works().await;
    let second = Instance::start(&tree, 2, &Worker::new(Task::UntilStop, 0));
    second.stands_by(1).await;
    assert_eq!(first.ends().await, Some(Ok(())));
    second.works().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_passed_on_and_the_next_leads_when_the_session_ends() {
    let tree = MemoryStore::new();
    let mut first = Instance::start(&tree, 1, &Worker::new(Task::Panics, 0));
    first.works().await;
    let second = Instance::start(&tree, 2, &Worker::new(Task::UntilStop, 0));
    assert_eq!(first.ends().await, None);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(second.worker.started(), 0, "nobody has resigned");
    first.store.expire();
    second.works().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_keeps_nothing_leads_again_where_the_lead_was_lost() {
    let tree = MemoryStore::new();
    let (store, lifecycle) = (tree.session(), Lifecycle::new());
    let worker = Worker::new(Task::ForEver, 1);
    let (own, told, leader) = (store.clone(), lifecycle.clone(), Arc::clone(&worker));
    let mut running = JoinSet::new();
    running.spawn(async move {
        let advertised = address(1);
        let election = Election { store: &own, service: SERVICE, advertised: &advertised };
        leading::run_whenever_won(leader.as_ref(), &election, &told).await;
    });
    for round in 1..=3 {
        until("it works", || worker.worked() == round && worker.is_at_work()).await;
        until("it is ready", || lifecycle.is_ready()).await;
        store.expire();
    }
    until("it works", || worker.worked() == 4 && worker.is_at_work()).await;
    assert_eq!(worker.started(), 5, "the first start has failed");
    assert_eq!(lifecycle.role(), Role::Leads);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_keeps_nothing_stops_when_it_is_told_to() {
    let tree = MemoryStore::new();
    let (lifecycle, advertised) = (Lifecycle::new(), address(1));
    let worker = Worker::new(Task::UntilStop, 0);
    let election = Election { store: &tree, service: SERVICE, advertised: &advertised };
    let stopping = async {
        until("it works", || worker.is_at_work()).await;
        lifecycle.stop();
    };
    let running = leading::run_whenever_won(worker.as_ref(), &election, &lifecycle);
    futures::join!(running, stopping);
    assert_eq!(worker.worked(), 1);
    tree.sync().await.unwrap();
    let standing = tree.children(&path::leaders(SERVICE)).await.unwrap();
    assert!(standing.is_empty(), "it has resigned: {standing:?}");
}
