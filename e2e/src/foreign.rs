//! A Kafka client that is not ours: it sends whatever it likes, as large as it likes, and asks how far
//! a service has read.

use std::time::Duration;

use anyhow::Context as _;
use common::service::ServiceName;
use common::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// The composed platform's.
pub const BROKERS: &str = "127.0.0.1:9092";
const WITHIN: Duration = Duration::from_secs(10);
/// Far above what a broker takes.
const LARGEST: &str = "100000000";

/// A producer without our cap.
pub struct Foreign {
    producer: FutureProducer,
}

/// A record with all that can be in one.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    pub payload: Vec<u8>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

impl Foreign {
    pub fn connect() -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", BROKERS).set("message.max.bytes", LARGEST);
        config.set("linger.ms", "0").set("queue.buffering.max.kbytes", "200000");
        Ok(Foreign { producer: config.create().context("Kafka cannot be used")? })
    }

    /// Sends a record; returns where it stands.
    pub async fn send(&self, topic: Topic, sent: &Sent) -> Result<i64, KafkaError> {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &sent.headers {
            headers = headers.insert(Header { key, value: Some(value.as_slice()) });
        }
        let mut record = FutureRecord::to(topic.as_str()).partition(0).payload(&sent.payload);
        if let Some(key) = &sent.key {
            record = record.key(key);
        }
        let delivery = self.producer.send(record.headers(headers), WITHIN).await;
        delivery.map(|delivery| delivery.offset).map_err(|(err, _)| err)
    }
}

impl std::fmt::Debug for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Foreign").finish_non_exhaustive()
    }
}

/// How far a service has read its topic: the offset of the next record it would take.
pub async fn position(brokers: &str, service: ServiceName, topic: Topic) -> anyhow::Result<i64> {
    let brokers = brokers.to_owned();
    #[expect(clippy::disallowed_methods, reason = "the library's calls block")]
    let asked = tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", service.as_str());
        let consumer: BaseConsumer = config.create()?;
        let mut place = TopicPartitionList::with_capacity(1);
        place.add_partition(topic.as_str(), 0);
        let found = consumer.committed_offsets(place, WITHIN)?;
        let position = found.find_partition(topic.as_str(), 0);
        Ok::<Option<Offset>, KafkaError>(position.map(|position| position.offset()))
    });
    match asked.await?? {
        Some(Offset::Offset(position)) => Ok(position),
        other => anyhow::bail!("{service} has no position on {topic}: {other:?}"),
    }
}
