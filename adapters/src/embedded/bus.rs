//! [`EmbeddedBus`]: topics as one durable log.

mod consumer;
mod log;
mod record;
mod retention;
mod tables;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::port::bus::{Consumer, Error as BusError, Offset, Record};
use common::port::{Bus, Clock};
use common::topic::TopicName;

pub use self::retention::Retention;

use self::consumer::{LogConsumer, Start};
use self::log::{Log, Write};
use self::topics::{End, Place, Topics};
use super::database::Live;
use super::failure::Error;
use super::folder::Folder;
use super::medium::{FileMedium, Medium};
use super::queue::{Failure, Queue};
use super::writer;

pub(super) const FILE: &str = "bus.redb";
/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// The bus in a folder. Clones share it; it is closed after the last of them and of its consumers.
#[derive(Debug, Clone)]
pub struct EmbeddedBus {
    shared: Arc<Shared>,
}

/// What the bus and its consumers share.
#[derive(Debug)]
struct Shared {
    live: Arc<Live>,
    topics: Arc<Topics>,
    queue: Queue<Write>,
}

impl EmbeddedBus {
    /// Opens the bus of the folder, which is made if it is missing. Blocks, longer after a crash:
    /// every page is looked at. `clock` says when a record is taken.
    pub fn open(
        folder: &Folder,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<Self, Error> {
        EmbeddedBus::on(FileMedium::new(folder, FILE), clock, retention)
    }

    /// As [`open`](Self::open), wherever the bytes are.
    pub fn on(
        medium: impl Medium,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<Self, Error> {
        let live = Arc::new(Live::open(Box::new(medium))?);
        let topics = Arc::new(Topics::default());
        let log = Log::new(clock, retention, Arc::clone(&topics));
        let queue = writer::start("embedded-bus", Arc::clone(&live), log, CALL_WITHIN)?;
        Ok(EmbeddedBus { shared: Arc::new(Shared { live, topics, queue }) })
    }

    /// Completes when the file cannot be used any more, with why: nothing that was acknowledged is lost, and another
    /// process that opens it goes on.
    pub async fn failed(&self) -> Arc<Error> {
        self.shared.live.ended().await
    }

    /// Writes what was accepted and closes the file; every later call is `Unavailable`. A bus that
    /// is only dropped closes its file soon after.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.queue.close().await
    }
}

impl Shared {
    fn place(&self, topic: &TopicName) -> Result<Place, BusError> {
        let place = self.topics.place(topic.as_str());
        place.ok_or_else(|| BusError::UnknownTopic { topic: topic.clone() })
    }

    /// Why nothing is read any more.
    fn stopped(&self) -> BusError {
        let closed = || Arc::new(Error::Closed { path: self.live.medium().path().to_owned() });
        BusError::Unavailable(self.live.lost().unwrap_or_else(closed).into())
    }
}

/// A record that may or may not have been taken is sent again either way.
fn unavailable(failure: Failure) -> BusError {
    BusError::Unavailable(failure.cause.into())
}

#[async_trait]
impl Bus for EmbeddedBus {
    async fn ensure_topics(&self, topics: &[TopicName]) -> Result<(), BusError> {
        let names: Vec<String> = topics
            .iter()
            .filter(|topic| self.shared.topics.place(topic.as_str()).is_none())
            .map(|topic| topic.as_str().to_owned())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let made = self.shared.queue.submit(0, |reply| Write::Make { names, reply }).await;
        made.map_err(unavailable)
    }

    async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, BusError> {
        record.check_size()?;
        let record = record::encode(&record);
        let topic = self.shared.place(topic)?.id;
        let size = record.len();
        let append = |reply| Write::Append { topic, record, reply };
        let appended = self.shared.queue.submit(size, append).await;
        appended.map_err(unavailable)?
    }

    async fn consume(&self, topic: &TopicName, group: &str) -> Result<Box<dyn Consumer>, BusError> {
        let place = self.shared.place(topic)?;
        let (topic, group) = (place.id, group.to_owned());
        let join = |reply| Write::Join { topic, group: group.clone(), reply };
        let position = self.shared.queue.submit(group.len(), join).await.map_err(unavailable)?;
        let start = Start { position, group: Some(group) };
        Ok(Box::new(LogConsumer::new(Arc::clone(&self.shared), place, start)))
    }

    async fn end(&self, topic: &TopicName) -> Result<Offset, BusError> {
        match *self.shared.place(topic)?.ends.borrow() {
            End::At(end) => Ok(Offset(end)),
            End::Stopped => Err(self.shared.stopped()),
        }
    }

    async fn read(&self, topic: &TopicName, from: Offset) -> Result<Box<dyn Consumer>, BusError> {
        let place = self.shared.place(topic)?;
        let start = Start { position: from, group: None };
        Ok(Box::new(LogConsumer::new(Arc::clone(&self.shared), place, start)))
    }
}
