//! Publishing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::port::bus::{Error, Offset, Record};
use common::topic::TopicName;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::time::timeout;

use super::closing::Closing;
use super::context::Context;
use super::deadline::GRACE;
use super::settings::KafkaSettings;
use super::{PARTITION, failure};

pub(super) type Producer = Closing<FutureProducer<Context>>;

/// Publishes with one producer, and with another one when the first has become useless.
pub(super) struct Publisher {
    settings: KafkaSettings,
    current: Mutex<Arc<Producer>>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Publisher {
    pub(super) fn start(settings: &KafkaSettings) -> Result<Self, Error> {
        let current = Mutex::new(producer(settings)?);
        Ok(Publisher { settings: settings.clone(), current })
    }

    /// The producer, also for what else its connection is good for.
    pub(super) fn current(&self) -> Arc<Producer> {
        Arc::clone(&self.lock())
    }

    pub(super) async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error> {
        let producer = self.current();
        let name = self.settings.topic(topic);
        let sent = producer.send(kafka_record(&name, &record), self.settings.timeout);
        match timeout(self.settings.timeout * 2 + GRACE, sent).await {
            Ok(Ok(delivery)) => Ok(Offset(delivery.offset)),
            Ok(Err((err, _))) => {
                if failure::is_fatal(&err) {
                    self.replace(&producer)?;
                }
                Err(failure::of(err, topic))
            }
            Err(late) => Err(Error::Unavailable(late.into())),
        }
    }

    /// Unless somebody else did already.
    fn replace(&self, useless: &Arc<Producer>) -> Result<(), Error> {
        let mut current = self.lock();
        if Arc::ptr_eq(&current, useless) {
            tracing::warn!("the producer is useless; starting another one");
            *current = producer(&self.settings)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Producer>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn producer(settings: &KafkaSettings) -> Result<Arc<Producer>, Error> {
    let made: Result<FutureProducer<Context>, KafkaError> =
        settings.producer().create_with_context(Context);
    made.map(|producer| Arc::new(Closing::new(producer))).map_err(failure::unavailable)
}

fn kafka_record<'a>(topic: &'a str, record: &'a Record) -> FutureRecord<'a, str, [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for header in &record.headers {
        headers = headers.insert(Header { key: &header.name, value: Some(header.value.as_ref()) });
    }
    let sent = FutureRecord::to(topic)
        .partition(PARTITION)
        .payload(record.payload.as_ref())
        .headers(headers);
    match &record.key {
        Some(key) => sent.key(key.as_str()),
        None => sent,
    }
}
