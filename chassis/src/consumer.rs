//! The consumer loop: reads a service's topic, refuses what nobody can read, offers the rest to the
//! service's commands, and commits the position only after the durable effect.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::id::MessageId;
use common::message::{Envelope, Reject, RejectCode, header};
use common::port::bus::{self, Consumer, Delivery, Header, Record};
use common::port::{Bus, Clock};
use common::record::operation;
use common::service::ServiceName;
use common::topic::{Topic, TopicName};
use jiff::Timestamp;

use crate::lifecycle::{Beat, Condition, Lifecycle};
use crate::service;

/// How often a quiet loop shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// A message that could be read.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub envelope: Envelope,
    /// The record's key: the instance, where the sender set one.
    pub key: Option<String>,
    pub message_id: Option<MessageId>,
    /// The header `details`, as JSON text.
    pub details: Option<String>,
    /// When the broker took it.
    pub published_at: Timestamp,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Its effect is durable, or it has none.
    Done,
    /// Nobody will ever be able to do it: it goes to the dead-letter topic.
    Refused(Reject),
}

/// The commands of a service.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Records what the message asks for, wakes whoever makes it so, and returns. An error means
    /// "not now": the same message is offered again, and the position stays.
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error>;
}

/// Reads the topic of `service` until the process stops.
#[derive(Debug)]
pub struct ConsumerLoop<'a> {
    pub bus: &'a dyn Bus,
    pub clock: &'a dyn Clock,
    pub service: ServiceName,
    pub topic: Topic,
}

impl ConsumerLoop<'_> {
    /// Makes the topics, then reads until the process stops. Registers the condition `bus`.
    pub async fn run(&self, commands: &dyn Commands, lifecycle: &Lifecycle) {
        let condition = lifecycle.condition("bus");
        let beat = lifecycle.beat("consumer");
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = self.read_for_ever(commands, &condition, &beat) => {}
        }
    }

    async fn read_for_ever(&self, commands: &dyn Commands, condition: &Condition, beat: &Beat) {
        let mut retry = FIRST_RETRY;
        loop {
            let opened = self.open().await;
            let err = match opened {
                Ok(mut consumer) => {
                    condition.holds();
                    retry = FIRST_RETRY;
                    self.read(consumer.as_mut(), commands, beat).await
                }
                Err(err) => err,
            };
            condition.fails(err.to_string());
            tracing::warn!(error = &err as &dyn std::error::Error, topic = %self.topic, "the bus is lost; trying again");
            beat.now();
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    async fn open(&self) -> Result<Box<dyn Consumer>, bus::Error> {
        let topics: Vec<TopicName> =
            Topic::ALL.into_iter().flat_map(|topic| [topic.into(), topic.dead_letter()]).collect();
        self.bus.ensure_topics(&topics).await?;
        self.bus.consume(&self.topic.into(), self.service.as_str()).await
    }

    async fn read(
        &self,
        consumer: &mut dyn Consumer,
        commands: &dyn Commands,
        beat: &Beat,
    ) -> bus::Error {
        loop {
            beat.now();
            let next = match tokio::time::timeout(HEARTBEAT, consumer.next()).await {
                Ok(Ok(delivery)) => delivery,
                Ok(Err(err)) => return err,
                Err(_) => continue,
            };
            let position = next.offset.next();
            self.settle(next, commands, beat).await;
            if let Err(err) = consumer.commit(position).await {
                return err;
            }
        }
    }

    /// Offers one record until its effect is durable or it is a dead letter.
    async fn settle(&self, delivery: Delivery, commands: &dyn Commands, beat: &Beat) {
        let mut retry = FIRST_RETRY;
        loop {
            beat.now();
            match self.offer(&delivery, commands).await {
                Ok(Disposition::Done) => return,
                Ok(Disposition::Refused(reject)) => match self.bury(&delivery, &reject).await {
                    Ok(()) => return,
                    Err(err) => {
                        tracing::warn!(
                            error = &err as &dyn std::error::Error,
                            "a dead letter could not be kept; trying again"
                        );
                    }
                },
                Err(err) => {
                    tracing::warn!(error = &*err as &dyn std::error::Error, topic = %self.topic, offset = delivery.offset.0, "a message could not be recorded; trying again");
                }
            }
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    async fn offer(
        &self,
        delivery: &Delivery,
        commands: &dyn Commands,
    ) -> Result<Disposition, service::Error> {
        let age = self.clock.now().duration_since(delivery.timestamp);
        if age > operation::REMEMBERED {
            let detail = format!("published at {}", delivery.timestamp);
            return Ok(Disposition::Refused(Reject { code: RejectCode::Expired, detail }));
        }
        match Envelope::decode(&delivery.record.payload, self.topic) {
            Ok(envelope) => commands.accept(incoming(envelope, delivery)).await,
            Err(reject) => Ok(Disposition::Refused(reject)),
        }
    }

    async fn bury(&self, delivery: &Delivery, reject: &Reject) -> Result<(), bus::Error> {
        tracing::warn!(topic = %self.topic, offset = delivery.offset.0, code = %reject.code, detail = %reject.detail, "dead letter");
        let mut headers = delivery.record.headers.clone();
        let reason = Bytes::from(reject.to_string());
        headers.push(Header { name: header::REASON.to_owned(), value: reason });
        let payload =
            delivery.record.payload.slice(..delivery.record.payload.len().min(bus::MAX_PAYLOAD));
        let record = Record { key: delivery.record.key.clone(), headers, payload };
        self.bus.publish(&self.topic.dead_letter(), record).await.map(drop)
    }
}

fn incoming(envelope: Envelope, delivery: &Delivery) -> Incoming {
    let text = |name: &str| {
        delivery
            .record
            .header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::to_owned)
    };
    Incoming {
        envelope,
        key: delivery.record.key.clone(),
        message_id: text(header::MESSAGE_ID).and_then(|id| id.parse().ok()),
        details: text(header::DETAILS),
        published_at: delivery.timestamp,
    }
}
