//! Publishing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::port::bus::{Error, Offset, Record};
use common::topic::TopicName;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::deadline::GRACE;
use super::delivery::{Delivered, Producer, start};
use super::settings::KafkaSettings;
use super::{PARTITION, failure};

/// How often a producer whose queue is full is asked again.
const ROOM_AGAIN: Duration = Duration::from_millis(10);

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
        let current = Mutex::new(start(settings)?);
        Ok(Publisher { settings: settings.clone(), current })
    }

    /// The producer, also for what else its connection is good for.
    pub(super) fn current(&self) -> Arc<Producer> {
        Arc::clone(&self.lock())
    }

    pub(super) async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error> {
        let producer = self.current();
        let name = self.settings.topic(topic);
        match timeout(self.settings.timeout * 2 + GRACE, deliver(&producer, &name, &record)).await {
            Ok(Ok(offset)) => Ok(offset),
            Ok(Err(err)) => {
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
            *current = start(&self.settings)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Producer>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn deliver(producer: &Producer, topic: &str, record: &Record) -> Result<Offset, KafkaError> {
    loop {
        let (tell, delivered) = oneshot::channel();
        match producer.send(kafka_record(topic, record, tell)) {
            // Its sender goes unheard only with the producer.
            Ok(()) => return delivered.await.unwrap_or(Err(KafkaError::Canceled)),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                sleep(ROOM_AGAIN).await;
            }
            Err((err, _)) => return Err(err),
        }
    }
}

fn kafka_record<'a>(
    topic: &'a str,
    record: &'a Record,
    tell: Delivered,
) -> BaseRecord<'a, str, [u8], Box<Delivered>> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for header in &record.headers {
        headers = headers.insert(Header { key: &header.name, value: Some(header.value.as_ref()) });
    }
    let sent = BaseRecord::with_opaque_to(topic, Box::new(tell))
        .partition(PARTITION)
        .payload(record.payload.as_ref())
        .headers(headers);
    match &record.key {
        Some(key) => sent.key(key.as_str()),
        None => sent,
    }
}
