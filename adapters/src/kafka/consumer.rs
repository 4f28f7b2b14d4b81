//! Reading a topic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::bus::{self, Delivery, Error, Header, Record};
use common::topic::TopicName;
use jiff::Timestamp;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::closing::Closing;
use super::context::Context;
use super::settings::KafkaSettings;
use super::{PARTITION, deadline, failure};

/// Where a consumer begins.
#[derive(Debug)]
pub(super) enum Start {
    /// At the position the group has committed, or at the beginning.
    Committed { group: String },
    /// There, committing nothing.
    At(bus::Offset),
}

type Client = Closing<StreamConsumer<Context>>;

pub(super) struct KafkaConsumer {
    client: Arc<Client>,
    topic: TopicName,
    /// What the broker calls the topic.
    name: String,
    commits: bool,
    timeout: Duration,
}

impl fmt::Debug for KafkaConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConsumer").field("topic", &self.name).finish_non_exhaustive()
    }
}

impl KafkaConsumer {
    pub(super) async fn open(
        settings: &KafkaSettings,
        topic: &TopicName,
        start: Start,
    ) -> Result<Self, Error> {
        let (name, timeout) = (settings.topic(topic), settings.timeout);
        let commits = matches!(start, Start::Committed { .. });
        let opening = {
            let (settings, name) = (settings.clone(), name.clone());
            move || assigned(&settings, &name, &start)
        };
        let client = deadline::blocking(timeout, opening).await?;
        let client = Arc::new(client.map_err(|err| failure::of(err, topic))?);
        Ok(KafkaConsumer { client, topic: topic.clone(), name, commits, timeout })
    }
}

/// Blocks.
fn assigned(settings: &KafkaSettings, name: &str, start: &Start) -> KafkaResult<Client> {
    let group = match start {
        Start::Committed { group } => group.clone(),
        // The library wants one even of those who never commit.
        Start::At(_) => settings.group("reader"),
    };
    let client: StreamConsumer<Context> = settings.consumer(&group).create_with_context(Context)?;
    let client = Closing::new(client);
    let offset = match start {
        Start::Committed { .. } => committed(&client, name, settings.timeout)?,
        Start::At(offset) => Offset::Offset(offset.0),
    };
    // Otherwise the library looks for the topic's leader only when its timer of a second fires.
    client.fetch_metadata(Some(name), settings.timeout)?;
    client.assign(&place(name, offset)?)?;
    Ok(client)
}

/// Only the offset leaves: a client does not end while a list that it gave lives.
fn committed(client: &Client, name: &str, within: Duration) -> KafkaResult<Offset> {
    let asked = place(name, Offset::Invalid)?;
    let found = client.committed_offsets(asked, within)?;
    let offset = match found.find_partition(name, PARTITION) {
        Some(position) => {
            position.error()?;
            position.offset()
        }
        None => Offset::Invalid,
    };
    Ok(if matches!(offset, Offset::Offset(_)) { offset } else { Offset::Beginning })
}

fn place(name: &str, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut place = TopicPartitionList::with_capacity(1);
    place.add_partition_offset(name, PARTITION, offset)?;
    Ok(place)
}

#[async_trait]
impl bus::Consumer for KafkaConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            match self.client.recv().await {
                Ok(message) => return Ok(delivery(&message)),
                Err(err) if failure::is_passing(&err) => {
                    tracing::debug!(error = &err as &dyn std::error::Error, "still reading");
                }
                Err(err) => return Err(failure::of(err, &self.topic)),
            }
        }
    }

    async fn commit(&mut self, position: bus::Offset) -> Result<(), Error> {
        if !self.commits {
            return Ok(());
        }
        let (client, name) = (Arc::clone(&self.client), self.name.clone());
        let committing = move || -> Result<(), KafkaError> {
            client.commit(&place(&name, Offset::Offset(position.0))?, CommitMode::Sync)
        };
        let committed = deadline::blocking(self.timeout, committing).await?;
        committed.map_err(|err| failure::of(err, &self.topic))
    }
}

fn delivery(message: &BorrowedMessage<'_>) -> Delivery {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let record = Record {
        key: message.key().map(|key| String::from_utf8_lossy(key).into_owned()),
        headers: headers
            .map(|header| Header {
                name: header.key.to_owned(),
                value: Bytes::copy_from_slice(header.value.unwrap_or_default()),
            })
            .collect(),
        payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    };
    Delivery { offset: bus::Offset(message.offset()), timestamp: timestamp(message), record }
}

/// A broker too old to say when counts as long ago.
fn timestamp(message: &BorrowedMessage<'_>) -> Timestamp {
    let millisecond = message.timestamp().to_millis().unwrap_or_default();
    Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::UNIX_EPOCH)
}
