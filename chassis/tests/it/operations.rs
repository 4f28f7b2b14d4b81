use chassis::leader::Election;
use chassis::lifecycle::Lifecycle;
use chassis::operations::{self, Acceptance, Request};
use chassis::records;
use common::id::RequestId;
use common::port::Store as _;
use common::port::store::{Op, Path, Precondition};
use common::record::leader::Advertised;
use common::record::operation::{Outcome, fingerprint};
use common::service::ServiceName;
use common::topic::Topic;
use jiff::SignedDuration;
use testkit::{ManualClock, MemoryStore};
use uuid::Uuid;

fn request(text: &str) -> Request {
    Request {
        id: RequestId(Uuid::from_u128(7)),
        service: ServiceName::DeploymentManager,
        kind: "deploy-app",
        fingerprint: fingerprint(Topic::DeploymentManager, text),
    }
}

fn change(path: &str) -> Op {
    Op::Put { path: path.parse().unwrap(), value: "1".into(), precondition: Precondition::Absent }
}

#[tokio::test]
async fn a_request_is_accepted_once_and_its_outcome_is_kept() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let first = operations::accept(&store, &clock, &request("a"), vec![change("/x/1")]).await;
    assert_eq!(first.unwrap(), Acceptance::Fresh);
    let outcome = Outcome::Succeeded { details: None };
    let concluded =
        operations::conclude(&store, &request("a").path(), outcome.clone()).await.unwrap();
    store.commit(vec![concluded.unwrap()]).await.unwrap();
    let again =
        operations::accept(&store, &clock, &request("a"), vec![change("/x/2")]).await.unwrap();
    assert!(matches!(again, Acceptance::Repeat(operation) if operation.outcome == Some(outcome)));
    assert_eq!(store.get(&"/x/2".parse::<Path>().unwrap()).await.unwrap(), None);
    assert!(
        operations::conclude(&store, &request("a").path(), Outcome::Superseded)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn the_same_id_for_something_else_is_a_conflict() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    operations::accept(&store, &clock, &request("a"), Vec::new()).await.unwrap();
    let other = operations::accept(&store, &clock, &request("b"), vec![change("/x/1")]).await;
    assert_eq!(other.unwrap(), Acceptance::Conflict);
    assert_eq!(store.get(&"/x/1".parse::<Path>().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_changed_record_asks_to_decide_again_and_accepts_nothing() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    store.commit(vec![change("/x/1")]).await.unwrap();
    let refused = operations::accept(&store, &clock, &request("a"), vec![change("/x/1")]).await;
    assert!(matches!(refused, Err(records::Error::Changed)));
    assert_eq!(operations::look_up(&store, &request("a")).await.unwrap(), None);
}

#[tokio::test]
async fn operations_are_forgotten_after_eight_days_and_only_ours() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    operations::accept(&store, &clock, &request("a"), Vec::new()).await.unwrap();
    let theirs = Request { service: ServiceName::NodeManager, ..request("a") };
    operations::accept(&store, &clock, &theirs, Vec::new()).await.unwrap();
    clock.advance(SignedDuration::from_secs(8 * 24 * 3600 + 1));
    let removed = operations::collect(&store, &clock, ServiceName::DeploymentManager, 100).await;
    assert_eq!(removed.unwrap(), 1);
    assert_eq!(operations::look_up(&store, &request("a")).await.unwrap(), None);
    assert!(operations::look_up(&store, &theirs).await.unwrap().is_some());
}

#[tokio::test]
async fn an_earlier_leader_cannot_write_any_more() {
    let store = MemoryStore::new();
    let advertised = Advertised::plain("192.0.2.1:8050");
    let lifecycle = Lifecycle::new();
    let condition = lifecycle.condition("store");
    let service = ServiceName::LoadBalancer;
    let election = Election { store: &store, service, advertised: &advertised };
    let first = election.win(&condition, &lifecycle).await.lead().clone();
    store.commit(vec![first.check(), change("/x/1")]).await.unwrap();
    let second = election.win(&condition, &lifecycle).await.lead().clone();
    assert!(second.epoch > first.epoch);
    assert!(store.commit(vec![first.check(), change("/x/2")]).await.is_err());
    store.commit(vec![second.check(), change("/x/2")]).await.unwrap();
}
