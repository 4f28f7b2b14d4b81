use bytes::Bytes;
use common::id::RequestId;
use common::message::{Event, NodeCommand};

use super::*;
use crate::clock::ManualClock;
use crate::contract;

const TOPIC: Topic = Topic::NodeManager;

fn bus() -> MemoryBus {
    MemoryBus::new(Arc::new(ManualClock::default())).with_topics()
}

fn record(payload: &'static str) -> Record {
    Record { key: None, headers: Vec::new(), payload: Bytes::from_static(payload.as_bytes()) }
}

fn payloads(bus: &MemoryBus) -> Vec<Bytes> {
    bus.records(TOPIC).into_iter().map(|delivery| delivery.record.payload).collect()
}

/// The buses that the suite opened.
struct Buses {
    clock: Arc<ManualClock>,
    last: Mutex<Option<MemoryBus>>,
}

#[async_trait(?Send)]
impl contract::bus::World for Buses {
    async fn open(&self) -> Arc<dyn Bus> {
        let bus = MemoryBus::new(self.clock.clone());
        Arc::new(self.last.lock().unwrap().insert(bus).clone())
    }

    async fn reopen(&self) -> Arc<dyn Bus> {
        Arc::new(self.last.lock().unwrap().clone().unwrap())
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_bus_keeps_the_contract() {
    let clock = Arc::new(ManualClock::ticking());
    contract::bus::holds(&Buses { clock, last: Mutex::default() }).await;
}

#[tokio::test]
async fn a_refused_publication_did_not_happen() {
    let bus = bus();
    bus.fail_next_publishes(1, FailureMode::Refused);
    assert!(bus.publish(&TOPIC.into(), record("a")).await.unwrap_err().is_retryable());
    bus.publish(&TOPIC.into(), record("b")).await.unwrap();
    assert_eq!(payloads(&bus), ["b"]);
}

#[tokio::test]
async fn a_publication_may_happen_and_yet_fail() {
    let bus = bus();
    bus.fail_next_publishes(1, FailureMode::EffectHappened);
    assert!(bus.publish(&TOPIC.into(), record("a")).await.is_err());
    bus.publish(&TOPIC.into(), record("a")).await.unwrap();
    assert_eq!(payloads(&bus), ["a", "a"]);
}

#[tokio::test]
async fn duplicates_have_offsets_of_their_own() {
    let bus = bus();
    bus.duplicate_next_publishes(1);
    assert_eq!(bus.publish(&TOPIC.into(), record("a")).await.unwrap(), Offset(1));
    bus.publish(&TOPIC.into(), record("b")).await.unwrap();
    assert_eq!(payloads(&bus), ["a", "a", "b"]);
}

#[tokio::test]
async fn a_repeated_delivery_has_the_same_offset() {
    let bus = bus();
    bus.inject_record(TOPIC, record("a"));
    bus.inject_record(TOPIC, record("b"));
    bus.repeat_next_deliveries(1);
    let mut consumer = bus.consume(&TOPIC.into(), "group").await.unwrap();
    let mut offsets = Vec::new();
    for _ in 0..3 {
        offsets.push(consumer.next().await.unwrap().offset.0);
    }
    assert_eq!(offsets, [0, 0, 1]);
}

#[tokio::test]
async fn a_failed_commit_leaves_the_position_or_not() {
    let bus = bus();
    bus.inject_record(TOPIC, record("a"));
    let mut consumer = bus.consume(&TOPIC.into(), "group").await.unwrap();
    bus.fail_next_commits(1, FailureMode::Refused);
    bus.fail_next_commits(1, FailureMode::EffectHappened);
    assert!(consumer.commit(Offset(1)).await.is_err());
    assert_eq!(bus.position(TOPIC, "group"), None);
    assert!(consumer.commit(Offset(1)).await.is_err());
    assert_eq!(bus.position(TOPIC, "group"), Some(Offset(1)));
    bus.wait_until_consumed(TOPIC, "group").await;
}

#[tokio::test]
async fn a_bus_that_goes_down_ends_the_wait_for_a_record() {
    let bus = bus();
    let mut consumer = bus.consume(&TOPIC.into(), "group").await.unwrap();
    let (received, ()) = tokio::join!(consumer.next(), async {
        bus.set_availability(Availability::Down);
    });
    assert!(matches!(received, Err(Error::Unavailable(_))));
    assert!(bus.end(&TOPIC.into()).await.is_err());
    bus.set_availability(Availability::Up);
    bus.inject_record(TOPIC, record("a"));
    assert_eq!(consumer.next().await.unwrap().offset, Offset(0));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_bus_answers_nobody_until_it_is_up() {
    let bus = bus();
    bus.set_availability(Availability::Stalled);
    let end = TOPIC.into();
    let mut asked = Box::pin(bus.end(&end));
    assert!(timeout(Duration::from_secs(30), &mut asked).await.is_err());
    bus.set_availability(Availability::Up);
    assert_eq!(asked.await.unwrap(), Offset(0));
}

#[tokio::test]
async fn a_lost_topic_is_read_from_its_new_beginning() {
    let bus = bus();
    bus.inject_record(TOPIC, record("a"));
    bus.inject_record(TOPIC, record("b"));
    let mut consumer = bus.consume(&TOPIC.into(), "group").await.unwrap();
    consumer.next().await.unwrap();
    consumer.next().await.unwrap();
    bus.lose_records(TOPIC);
    bus.inject_record(TOPIC, record("c"));
    assert_eq!(consumer.next().await.unwrap().record.payload, "c");
}

#[tokio::test]
async fn messages_are_read_and_waited_for_as_messages() {
    let bus = bus();
    let instance: common::name::LegacyName = "shop".parse().unwrap();
    let id = RequestId(uuid::Uuid::nil());
    let question = NodeCommand::GiveBestNode { instance: instance.clone() };
    let question = question.envelope(Topic::DeploymentManager, id);
    assert_eq!(bus.inject(&question), Offset(0));
    assert_eq!(bus.messages(Topic::NodeManager), [question]);
    let event = Event::Stopped { instance }.envelope(Topic::DeploymentManager, id);
    let (records, _) =
        tokio::join!(bus.wait_for(Topic::FirstTopic, |records| !records.is_empty()), async {
            bus.inject(&event)
        });
    assert_eq!(records.len(), 1);
}
