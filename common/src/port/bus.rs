//! The bus: topics of records, kept in order, delivered at least once.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cause;
use crate::topic::TopicName;

/// The largest payload a record may have. Larger things travel as blobs, by digest.
pub const MAX_PAYLOAD: usize = 256 * 1024;
/// The largest record with its key and headers, as [`Record::size`] counts.
pub const MAX_RECORD: usize = 900_000;
/// What a header takes besides its name and its value, at most.
const HEADER_FRAME: usize = 16;

/// Why the bus did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not now; the same call may work later.
    #[error("the bus is unavailable")]
    Unavailable(#[source] Cause),
    /// Never: the payload is larger than [`MAX_PAYLOAD`], or the record than [`MAX_RECORD`].
    #[error(
        "{size} bytes are too many: {MAX_PAYLOAD} of payload, {MAX_RECORD} with key and headers"
    )]
    TooLarge { size: usize },
    /// Never: nobody made this topic.
    #[error("there is no topic {topic}")]
    UnknownTopic { topic: TopicName },
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}

/// A place in a topic: the number of the record, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    #[must_use]
    pub fn next(self) -> Self {
        Offset(self.0 + 1)
    }
}

/// What is published: records with the same key stay in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Option<String>,
    pub headers: Vec<Header>,
    pub payload: Bytes,
}

impl Record {
    /// How many bytes it takes on the bus, at most.
    pub fn size(&self) -> usize {
        let key = self.key.as_ref().map_or(0, String::len);
        key + self.headers.iter().map(Header::size).sum::<usize>() + self.payload.len()
    }

    /// Fails with [`Error::TooLarge`] if no bus takes it.
    pub fn check_size(&self) -> Result<(), Error> {
        let (payload, whole) = (self.payload.len(), self.size());
        if payload > MAX_PAYLOAD {
            return Err(Error::TooLarge { size: payload });
        }
        if whole > MAX_RECORD { Err(Error::TooLarge { size: whole }) } else { Ok(()) }
    }

    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|header| header.name == name).map(|header| header.value.as_ref())
    }
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Bytes,
}

impl Header {
    /// How many bytes it takes of a record, at most.
    pub fn size(&self) -> usize {
        HEADER_FRAME + self.name.len() + self.value.len()
    }
}

/// A record as it was read.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub offset: Offset,
    /// When the broker took it.
    pub timestamp: Timestamp,
    pub record: Record,
}

/// Publishes and consumes records.
#[async_trait]
pub trait Bus: Debug + Send + Sync {
    /// Makes the topics that are missing, with one partition each.
    async fn ensure_topics(&self, topics: &[TopicName]) -> Result<(), Error>;

    /// Returns once the record is durable; after an error it may or may not have been published.
    async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error>;

    /// Reads a topic from the position that `group` has committed, or from its beginning.
    /// There is no group membership: the caller sees to it that only a leader consumes.
    async fn consume(&self, topic: &TopicName, group: &str) -> Result<Box<dyn Consumer>, Error>;

    /// The offset the next record of the topic will get.
    async fn end(&self, topic: &TopicName) -> Result<Offset, Error>;

    /// Reads a topic from `from` on without committing anything.
    async fn read(&self, topic: &TopicName, from: Offset) -> Result<Box<dyn Consumer>, Error>;
}

/// Reads one topic.
#[async_trait]
pub trait Consumer: Debug + Send {
    /// The next record; waits for it. May be dropped and called again without losing one.
    async fn next(&mut self) -> Result<Delivery, Error>;

    /// Says that everything before `position` is done: after the durable effect, never before.
    /// A reader without a group ignores it.
    async fn commit(&mut self, position: Offset) -> Result<(), Error>;
}
