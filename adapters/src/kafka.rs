//! [`KafkaBus`]: the bus on Apache Kafka.
//!
//! One idempotent producer for all topics; a consumer of its own for each reader, with manual
//! assignment and positions kept under the group's id, without group membership. Every call has a
//! deadline. Brokers that come and go are reconnected to; nothing is remembered of them.

mod closing;
mod consumer;
mod context;
mod deadline;
mod delivery;
mod failure;
mod producer;
mod settings;
mod topics;

use std::sync::Arc;

use async_trait::async_trait;
use common::port::Bus;
use common::port::bus::{Consumer, Error, Offset, Record};
use common::topic::TopicName;
use rdkafka::producer::Producer as _;

pub use self::settings::KafkaSettings;

use self::consumer::{KafkaConsumer, Start};
use self::producer::Publisher;
use self::topics::Topics;

/// The only partition of a topic.
const PARTITION: i32 = 0;

/// The bus on Kafka. Clones share one producer.
#[derive(Debug, Clone)]
pub struct KafkaBus {
    settings: KafkaSettings,
    publisher: Arc<Publisher>,
    topics: Arc<Topics>,
}

impl KafkaBus {
    /// Starts connecting and returns at once: a broker that is late is waited for, and until it is
    /// there every call is `Unavailable`, as it is with settings that can never work.
    pub fn connect(settings: &KafkaSettings) -> Result<Self, Error> {
        let publisher = Arc::new(Publisher::start(settings)?);
        let topics = Topics::new(settings.clone(), Arc::clone(&publisher));
        Ok(KafkaBus { settings: settings.clone(), publisher, topics: Arc::new(topics) })
    }

    async fn open(&self, topic: &TopicName, start: Start) -> Result<Box<dyn Consumer>, Error> {
        self.topics.demand(topic).await?;
        let opened = KafkaConsumer::open(&self.settings, topic, start).await;
        self.noticing(topic, opened).map(|consumer| Box::new(consumer) as Box<dyn Consumer>)
    }

    /// What the broker does not know any more is asked for anew next time.
    fn noticing<T>(&self, topic: &TopicName, result: Result<T, Error>) -> Result<T, Error> {
        if matches!(result, Err(Error::UnknownTopic { .. })) {
            self.topics.forget(topic);
        }
        result
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn ensure_topics(&self, topics: &[TopicName]) -> Result<(), Error> {
        self.topics.ensure(topics).await
    }

    async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error> {
        record.check_size()?;
        self.topics.demand(topic).await?;
        let published = self.publisher.publish(topic, record).await;
        self.noticing(topic, published)
    }

    async fn consume(&self, topic: &TopicName, group: &str) -> Result<Box<dyn Consumer>, Error> {
        self.open(topic, Start::Committed { group: self.settings.group(group) }).await
    }

    async fn end(&self, topic: &TopicName) -> Result<Offset, Error> {
        self.topics.demand(topic).await?;
        let (producer, name) = (self.publisher.current(), self.settings.topic(topic));
        let within = self.settings.timeout;
        let found = deadline::blocking(within, move || {
            producer.client().fetch_watermarks(&name, PARTITION, within)
        });
        let found = found.await?.map_err(|err| failure::of(err, topic));
        self.noticing(topic, found).map(|(_, end)| Offset(end))
    }

    async fn read(&self, topic: &TopicName, from: Offset) -> Result<Box<dyn Consumer>, Error> {
        self.open(topic, Start::At(from)).await
    }
}
