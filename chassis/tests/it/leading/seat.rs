use std::time::Duration;

use chassis::leading::Error;
use chassis::records;
use common::id::Epoch;
use common::port::nodes::Issuer;
use common::port::store::{self, Done};
use testkit::MemoryStore;
use testkit::store::Fault;
use tokio::time::sleep;

use super::{Instance, SERVICE, is_there, overtake, put, seat};

#[tokio::test(start_paused = true)]
async fn nothing_is_written_before_the_lead_was_taken() {
    let tree = MemoryStore::new();
    let seat = seat(&tree, 1);
    assert!(matches!(seat.commit(vec![put("1")]).await, Err(Error::NotLeading)));
    assert!(matches!(seat.check(), Err(Error::NotLeading)));
    assert!(matches!(seat.still_leads().await, Err(Error::NotLeading)));
    assert_eq!((seat.epoch(), seat.led_for()), (None, None));
    assert_eq!(seat.issuer(), Issuer { service: SERVICE, epoch: Epoch(0) });
    assert!(!is_there(&tree, "1").await);
}

#[tokio::test(start_paused = true)]
async fn a_leader_writes_and_learns_what_became_of_each_change() {
    let tree = MemoryStore::new();
    let first = Instance::working(&tree, 1).await;
    let done = first.seat.commit(vec![put("1"), put("2")]).await.unwrap();
    assert_eq!(done.iter().filter_map(Done::version).count(), 2, "{done:?}");
    assert!(is_there(&tree, "2").await);
    assert_eq!(first.seat.issuer(), Issuer { service: SERVICE, epoch: Epoch(1) });
    first.seat.still_leads().await.unwrap();
    let led_for = first.seat.led_for().unwrap();
    sleep(Duration::from_secs(7)).await;
    assert_eq!(first.seat.led_for().unwrap(), led_for + Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_changed_asks_to_decide_again_and_nothing_is_written() {
    let tree = MemoryStore::new();
    let first = Instance::working(&tree, 1).await;
    first.seat.commit(vec![put("1")]).await.unwrap();
    let again = first.seat.commit(vec![put("2"), put("1")]).await.unwrap_err();
    assert!(again.is_changed(), "{again:?}");
    assert!(!is_there(&tree, "2").await);
    let told = first.seat.attempt(vec![put("2"), put("1")]).await.unwrap_err();
    let conflict = Error::Records(records::Error::Store(store::Error::Conflict { index: 1 }));
    assert_eq!(format!("{told:?}"), format!("{conflict:?}"), "it names the change");
    first.seat.still_leads().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_outcome_is_unknown_asks_to_decide_again() {
    for (fault, done) in [(Fault::AnswerLost, true), (Fault::RequestLost, false)] {
        let tree = MemoryStore::new();
        let first = Instance::working(&tree, 1).await;
        first.store.fail_commit(fault);
        let unknown = first.seat.commit(vec![put("1")]).await.unwrap_err();
        assert!(unknown.is_changed(), "{unknown:?}");
        assert_eq!(is_there(&tree, "1").await, done);
        first.store.fail_commit(fault);
        let told = first.seat.attempt(vec![put("2")]).await.unwrap_err();
        let is_told =
            matches!(&told, Error::Records(records::Error::Store(store::Error::OutcomeUnknown(_))));
        assert!(is_told, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_after_the_next_has_taken_the_lead_is_refused() {
    let tree = MemoryStore::new();
    let mut paused = Instance::working(&tree, 1).await;
    // Nobody polls it any more, and it knows nothing of what happens.
    paused.running.abort_all();
    paused.store.expire();
    let second = Instance::working(&tree, 2).await;
    assert_eq!(second.seat.epoch(), Some(Epoch(2)));
    let refused = paused.seat.commit(vec![put("1")]).await;
    assert!(matches!(refused, Err(Error::Deposed)), "{refused:?}");
    assert!(!is_there(&tree, "1").await);
    second.seat.commit(vec![put("1")]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whether_it_still_leads_is_asked_of_the_store_itself() {
    let tree = MemoryStore::new();
    let mut first = Instance::working(&tree, 1).await;
    overtake(&tree, Epoch(1)).await;
    assert!(matches!(first.seat.still_leads().await, Err(Error::Deposed)));
    assert!(first.ends().await.unwrap().is_err(), "its run is over");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_deposes_nobody() {
    let tree = MemoryStore::new();
    let first = Instance::working(&tree, 1).await;
    tree.go_down();
    for refused in
        [first.seat.still_leads().await.err(), first.seat.commit(vec![put("1")]).await.err()]
    {
        let is_away = matches!(&refused, Some(Error::Records(records::Error::Store(err))) if err.is_retryable());
        assert!(is_away, "{refused:?}");
    }
    tree.come_back();
    first.seat.commit(vec![put("1")]).await.unwrap();
    assert!(first.worker.is_at_work());
}
