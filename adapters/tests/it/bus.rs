//! [`KafkaBus`] on a real Kafka, and on the library's own imitation of one where brokers must fail.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adapters::{KafkaBus, KafkaSettings};
use async_trait::async_trait;
use bytes::Bytes;
use common::port::bus::{Consumer, Error, Offset, Record};
use common::port::{Bus, Clock};
use common::topic::{Topic, TopicName};
use futures::FutureExt as _;
use jiff::Timestamp;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use testkit::contract;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "the variable says where the test's server is")]
fn brokers() -> String {
    std::env::var("AVISHKAR_TEST_KAFKA")
        .expect("run `make test`: it starts Kafka and sets AVISHKAR_TEST_KAFKA")
}

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the broker has no other clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Runs a test under a prefix of its own, and removes its topics whatever happens.
async fn with_own_topics(test: impl AsyncFnOnce(KafkaSettings)) {
    let random = RandomState::new().build_hasher().finish();
    let prefix = format!("test-{random:016x}-");
    let settings =
        KafkaSettings { topic_prefix: prefix.clone(), ..KafkaSettings::new(brokers(), "test") };
    let result = AssertUnwindSafe(test(settings)).catch_unwind().await;
    remove_topics(&prefix).await;
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

async fn remove_topics(prefix: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers());
    let client: BaseConsumer = config.create().unwrap();
    let metadata = client.fetch_metadata(None, PATIENCE).unwrap();
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let own: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    if !own.is_empty() {
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        admin.delete_topics(&own, &options).await.unwrap();
    }
}

fn topic() -> TopicName {
    Topic::DeploymentManager.into()
}

fn record(payload: &'static str) -> Record {
    let payload = Bytes::from_static(payload.as_bytes());
    Record { key: Some("shop".to_owned()), headers: Vec::new(), payload }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

async fn payload(consumer: &mut dyn Consumer) -> Bytes {
    within(consumer.next()).await.unwrap().record.payload
}

/// Each bus is a prefix of its own.
struct Prefixes {
    settings: KafkaSettings,
    opened: AtomicUsize,
}

impl Prefixes {
    fn connect(&self, number: usize) -> Arc<dyn Bus> {
        let topic_prefix = format!("{}{number}-", self.settings.topic_prefix);
        let settings = KafkaSettings { topic_prefix, ..self.settings.clone() };
        Arc::new(KafkaBus::connect(&settings).unwrap())
    }
}

#[async_trait(?Send)]
impl contract::bus::World for Prefixes {
    async fn open(&self) -> Arc<dyn Bus> {
        self.connect(self.opened.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn reopen(&self) -> Arc<dyn Bus> {
        self.connect(self.opened.load(Ordering::Relaxed))
    }

    fn clock(&self) -> &dyn Clock {
        &WallClock
    }
}

#[tokio::test]
async fn kafka_keeps_the_contract() {
    with_own_topics(async |settings| {
        contract::bus::holds(&Prefixes { settings, opened: AtomicUsize::new(0) }).await;
    })
    .await;
}

#[tokio::test]
async fn positions_and_records_outlive_the_client() {
    with_own_topics(async |settings| {
        let bus = KafkaBus::connect(&settings).unwrap();
        bus.ensure_topics(&[topic()]).await.unwrap();
        for payload in ["a", "b"] {
            bus.publish(&topic(), record(payload)).await.unwrap();
        }
        let mut consumer = bus.consume(&topic(), "group").await.unwrap();
        assert_eq!(payload(consumer.as_mut()).await, "a");
        consumer.commit(Offset(1)).await.unwrap();
        drop((bus, consumer));
        let bus = KafkaBus::connect(&settings).unwrap();
        let mut consumer = bus.consume(&topic(), "group").await.unwrap();
        assert_eq!(payload(consumer.as_mut()).await, "b");
    })
    .await;
}

#[tokio::test]
async fn a_topic_that_is_removed_is_unknown_and_can_be_made_again() {
    with_own_topics(async |settings| {
        let bus = KafkaBus::connect(&settings).unwrap();
        bus.ensure_topics(&[topic()]).await.unwrap();
        bus.publish(&topic(), record("lost")).await.unwrap();
        let mut consumer = bus.consume(&topic(), "group").await.unwrap();
        assert_eq!(payload(consumer.as_mut()).await, "lost");
        consumer.commit(Offset(1)).await.unwrap();
        remove_topics(&settings.topic_prefix).await;
        let ended = within(consumer.next()).await;
        assert!(matches!(ended, Err(Error::UnknownTopic { .. })), "{ended:?}");
        drop(consumer);
        bus.ensure_topics(&[topic()]).await.unwrap();
        assert_eq!(within(bus.publish(&topic(), record("new"))).await.unwrap(), Offset(0));
        let mut consumer = bus.consume(&topic(), "group").await.unwrap();
        assert_eq!(payload(consumer.as_mut()).await, "new");
    })
    .await;
}

#[tokio::test]
async fn records_of_programs_without_keys_and_headers_are_read() {
    with_own_topics(async |settings| {
        let bus = KafkaBus::connect(&settings).unwrap();
        bus.ensure_topics(&[topic()]).await.unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers());
        let producer: FutureProducer = config.create().unwrap();
        let name = format!("{}{}", settings.topic_prefix, topic());
        let bare = FutureRecord::<str, [u8]>::to(&name);
        producer.send(bare, PATIENCE).await.unwrap();
        let odd = FutureRecord::to(&name).key(&[0xff_u8]).payload(&[0xfe_u8]);
        producer.send(odd, PATIENCE).await.unwrap();
        let mut consumer = bus.consume(&topic(), "group").await.unwrap();
        let read = within(consumer.next()).await.unwrap().record;
        assert_eq!(read, Record { key: None, headers: Vec::new(), payload: Bytes::new() });
        let read = within(consumer.next()).await.unwrap().record;
        assert_eq!((read.key.as_deref(), read.payload.as_ref()), (Some("\u{fffd}"), &[0xfe][..]));
    })
    .await;
}

/// An imitation of one broker with one topic, and a bus on it that waits for 2 s at most.
fn imitation() -> (MockCluster<'static, DefaultProducerContext>, KafkaBus) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(topic().as_str(), 1, 1).unwrap();
    let timeout = Duration::from_secs(2);
    let settings = KafkaSettings::new(cluster.bootstrap_servers(), "test");
    (cluster, KafkaBus::connect(&KafkaSettings { timeout, ..settings }).unwrap())
}

fn is_unavailable<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Unavailable(_)))
}

#[tokio::test]
async fn nobody_waits_long_for_a_broker_that_is_not_there() {
    let settings = KafkaSettings::new("127.0.0.1:1", "test");
    let settings = KafkaSettings { timeout: Duration::from_secs(1), ..settings };
    let bus = KafkaBus::connect(&settings).unwrap();
    let bound = Duration::from_secs(5);
    assert!(is_unavailable(&timeout(bound, bus.ensure_topics(&[topic()])).await.unwrap()));
    assert!(is_unavailable(&timeout(bound, bus.publish(&topic(), record("a"))).await.unwrap()));
    assert!(is_unavailable(&timeout(bound, bus.end(&topic())).await.unwrap()));
    assert!(is_unavailable(&timeout(bound, bus.consume(&topic(), "group")).await.unwrap()));
    assert!(is_unavailable(&timeout(bound, bus.read(&topic(), Offset(0))).await.unwrap()));
}

#[tokio::test]
async fn a_broker_that_goes_away_and_comes_back_is_found_again() {
    let (cluster, bus) = imitation();
    within(bus.publish(&topic(), record("before"))).await.unwrap();
    let mut consumer = within(bus.consume(&topic(), "group")).await.unwrap();
    assert_eq!(payload(consumer.as_mut()).await, "before");
    within(consumer.commit(Offset(1))).await.unwrap();

    cluster.broker_down(1).unwrap();
    let waiting = within(consumer.next()).await;
    assert!(is_unavailable(&waiting), "{waiting:?}");
    let published = within(bus.publish(&topic(), record("lost"))).await;
    assert!(is_unavailable(&published), "{published:?}");
    let committed = within(consumer.commit(Offset(1))).await;
    assert!(is_unavailable(&committed), "{committed:?}");

    cluster.broker_up(1).unwrap();
    within(async { while bus.publish(&topic(), record("after")).await.is_err() {} }).await;
    let resumed = within(async {
        loop {
            if let Ok(delivery) = consumer.next().await {
                return delivery.record.payload;
            }
        }
    });
    assert_eq!(resumed.await, "after");
    let mut successor = within(bus.consume(&topic(), "group")).await.unwrap();
    assert_eq!(payload(successor.as_mut()).await, "after");
}

#[tokio::test]
async fn a_producer_that_became_useless_is_replaced() {
    let (cluster, bus) = imitation();
    within(bus.publish(&topic(), record("before"))).await.unwrap();
    let disagreement = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[disagreement]);
    let disagreed = within(bus.publish(&topic(), record("after"))).await;
    assert!(is_unavailable(&disagreed), "{disagreed:?}");
    let ended = within(bus.publish(&topic(), record("after"))).await;
    assert!(is_unavailable(&ended), "{ended:?}");
    assert_eq!(within(bus.publish(&topic(), record("after"))).await.unwrap(), Offset(1));
}
