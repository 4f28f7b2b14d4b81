//! The consumer loop: reads a service's topic, refuses what nobody can read, offers the rest to the
//! service's commands, and commits the position only after the durable effect.
//!
//! Positions are committed when the topic is quiet, and in a backlog once in a while: after a crash
//! some records are offered again, and commands know them by their request id.

use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::message::{Envelope, Reject, RejectCode, header};
use common::port::bus::{self, Consumer, Delivery, Header, Offset, Record};
use common::port::{Bus, Clock};
use common::record::{self, operation};
use common::service::ServiceName;
use common::topic::{Topic, TopicName};
use prometheus::{IntCounterVec, Opts};
use tokio::time::Instant;

use crate::lifecycle::{Beat, Condition, Lifecycle};
use crate::{records, service};

/// How often a quiet loop shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// What one step may take, each of whose calls has a deadline of its own: a bus or a store that is away is no hang.
const STEP_WITHIN: Duration = Duration::from_mins(1);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// A topic without a record for so long is quiet, and what was done is committed. Committing is slow:
/// after each record it would set the pace of a backlog.
const QUIET: Duration = Duration::from_millis(5);
/// In a backlog, how long what was done may stay uncommitted.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How much of a refused record's key and headers its dead letter keeps, in bytes. With a payload of the
/// largest size it must be small enough to be published: a letter that is not taken holds up the topic.
const KEPT_ENVELOPE: usize = 64 * 1024;

/// In the process's own registry, which `/metrics` shows: a process has one consumer loop.
static DEAD_LETTERS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let about = "Records that could not be taken, by why.";
    let options = Opts::new("consumer_dead_letters_total", about);
    let counter = IntCounterVec::new(options, &["topic", "code"])
        .expect("names and labels are constants that keep Prometheus' rules");
    let registered = prometheus::register(Box::new(counter.clone()));
    registered.expect("each name is registered once");
    counter
});

/// A message that could be read.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub envelope: Envelope,
    /// The header `details`, as JSON text.
    pub details: Option<String>,
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
    /// "not now": the same message is offered again, and the position stays. Only where a record of
    /// the platform is not readable would it be offered in vain: the message becomes a dead letter.
    async fn accept(&self, message: Incoming) -> Result<Disposition, service::Error>;
}

/// What was done and is not committed yet.
#[derive(Debug, Clone, Copy)]
struct Uncommitted {
    position: Offset,
    /// When the first of it was done.
    since: Instant,
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
        let beat = lifecycle.beat(self.topic.as_str());
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = self.read_for_ever(commands, &condition, &beat) => {}
        }
    }

    async fn read_for_ever(&self, commands: &dyn Commands, condition: &Condition, beat: &Beat) {
        let mut retry = FIRST_RETRY;
        loop {
            beat.busy_for(STEP_WITHIN);
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
        let mut done: Option<Uncommitted> = None;
        loop {
            beat.now();
            let patience = if done.is_some() { QUIET } else { HEARTBEAT };
            let next = match tokio::time::timeout(patience, consumer.next()).await {
                Ok(Ok(delivery)) => Some(delivery),
                Ok(Err(err)) => return err,
                Err(_) => None,
            };
            let is_quiet = next.is_none();
            if let Some(delivery) = next {
                let position = delivery.offset.next();
                if let Err(err) = self.settle(delivery, commands, beat).await {
                    return err;
                }
                let since = done.map_or_else(Instant::now, |done| done.since);
                done = Some(Uncommitted { position, since });
            }
            beat.busy_for(STEP_WITHIN);
            let due = |done: &mut Uncommitted| is_quiet || done.since.elapsed() >= COMMIT_EVERY;
            if let Some(done) = done.take_if(due)
                && let Err(err) = consumer.commit(done.position).await
            {
                return err;
            }
        }
    }

    /// Offers one record until its effect is durable or it is a dead letter. A bus that does not take
    /// the letter is opened anew, and the record read again.
    async fn settle(
        &self,
        delivery: Delivery,
        commands: &dyn Commands,
        beat: &Beat,
    ) -> Result<(), bus::Error> {
        let mut retry = FIRST_RETRY;
        loop {
            beat.busy_for(STEP_WITHIN);
            let err = match self.offer(&delivery, commands).await {
                Ok(Disposition::Done) => return Ok(()),
                Ok(Disposition::Refused(reject)) => return self.bury(&delivery, &reject).await,
                Err(err) => err,
            };
            tracing::warn!(error = &*err as &dyn Error, topic = %self.topic, offset = delivery.offset.0, "a message could not be recorded");
            if is_in_vain(&*err) {
                let reject = Reject::new(RejectCode::Internal, &err.to_string());
                return self.bury(&delivery, &reject).await;
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
        let reason = Bytes::from(reject.to_string());
        let record = dead_letter(&delivery.record, reason);
        self.bus.publish(&self.topic.dead_letter(), record).await?;
        DEAD_LETTERS.with_label_values(&[self.topic.as_str(), reject.code.as_str()]).inc();
        Ok(())
    }
}

/// The record with the reason: its key and headers as far as they fit, its payload up to the largest size.
/// The reason is ours alone: a sender may have put one there too.
fn dead_letter(refused: &Record, reason: Bytes) -> Record {
    let mut room = KEPT_ENVELOPE;
    let mut fits = |length: usize| {
        let left = room.checked_sub(length);
        room = left.unwrap_or(room);
        left.is_some()
    };
    let key = refused.key.clone().filter(|key| fits(key.len()));
    let mut headers = refused.headers.clone();
    headers.retain(|header| header.name != header::REASON && fits(header.size()));
    headers.push(Header { name: header::REASON.to_owned(), value: reason });
    let payload = refused.payload.slice(..refused.payload.len().min(bus::MAX_PAYLOAD));
    Record { key, headers, payload }
}

/// Whether offering the message again would fail in the same way, for as long as nobody repairs a record.
fn is_in_vain(err: &(dyn Error + 'static)) -> bool {
    let refused = err.downcast_ref::<records::Error>().is_some_and(|err| !err.is_retryable());
    refused || err.is::<record::Unreadable>() || err.source().is_some_and(is_in_vain)
}

fn incoming(envelope: Envelope, delivery: &Delivery) -> Incoming {
    let text = |name: &str| {
        delivery
            .record
            .header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::to_owned)
    };
    Incoming { envelope, details: text(header::DETAILS) }
}
