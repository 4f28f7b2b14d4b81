//! The topics' records and the groups' positions.

use std::collections::BTreeMap;

use common::port::bus::{Delivery, Error, Offset, Record};
use common::topic::TopicName;
use jiff::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Logs {
    topics: BTreeMap<TopicName, Log>,
}

#[derive(Debug, Default)]
struct Log {
    records: Vec<Delivery>,
    positions: BTreeMap<String, Offset>,
}

impl Log {
    fn end(&self) -> Offset {
        Offset(i64::try_from(self.records.len()).expect("memory ends before the numbers do"))
    }
}

impl Logs {
    pub(super) fn make(&mut self, topic: &TopicName) {
        self.topics.entry(topic.clone()).or_default();
    }

    pub(super) fn append(
        &mut self,
        topic: &TopicName,
        timestamp: Timestamp,
        record: Record,
    ) -> Result<Offset, Error> {
        let log = self.topics.get_mut(topic).ok_or_else(|| unknown(topic))?;
        let offset = log.end();
        log.records.push(Delivery { offset, timestamp, record });
        Ok(offset)
    }

    pub(super) fn records(&self, topic: &TopicName) -> &[Delivery] {
        self.topics.get(topic).map_or(&[], |log| log.records.as_slice())
    }

    /// The record at a position; a position that does not exist any more means the beginning.
    pub(super) fn at(&self, topic: &TopicName, at: Offset) -> Result<Option<Delivery>, Error> {
        let log = self.topics.get(topic).ok_or_else(|| unknown(topic))?;
        let at = if at > log.end() { Offset(0) } else { at };
        Ok(usize::try_from(at.0).ok().and_then(|at| log.records.get(at)).cloned())
    }

    pub(super) fn end(&self, topic: &TopicName) -> Option<Offset> {
        self.topics.get(topic).map(Log::end)
    }

    pub(super) fn existing_end(&self, topic: &TopicName) -> Result<Offset, Error> {
        self.end(topic).ok_or_else(|| unknown(topic))
    }

    pub(super) fn position(&self, topic: &TopicName, group: &str) -> Option<Offset> {
        self.topics.get(topic)?.positions.get(group).copied()
    }

    pub(super) fn commit(
        &mut self,
        topic: &TopicName,
        group: &str,
        position: Offset,
    ) -> Result<(), Error> {
        let log = self.topics.get_mut(topic).ok_or_else(|| unknown(topic))?;
        log.positions.insert(group.to_owned(), position);
        Ok(())
    }

    pub(super) fn forget(&mut self, topic: &TopicName, group: &str) {
        if let Some(log) = self.topics.get_mut(topic) {
            log.positions.remove(group);
        }
    }

    pub(super) fn lose(&mut self, topic: &TopicName) {
        if let Some(log) = self.topics.get_mut(topic) {
            *log = Log::default();
        }
    }
}

fn unknown(topic: &TopicName) -> Error {
    Error::UnknownTopic { topic: topic.clone() }
}
