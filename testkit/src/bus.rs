//! [`MemoryBus`]: the bus's contract in memory, with everything that may go wrong on demand.
//!
//! Clones are the same bus: its topics and positions outlive the services of a test, so that a
//! crash is dropping a service and a restart is making another one.

mod consumer;
mod faults;
mod log;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::message::Envelope;
use common::port::bus::{Consumer, Delivery, Error, Offset, Record};
use common::port::{Bus, Clock};
use common::topic::{Topic, TopicName};
use tokio::sync::watch;
use tokio::time::timeout;

use self::consumer::MemoryConsumer;
pub use self::faults::{Availability, FailureMode};
use self::faults::{Faults, down};
use self::log::Logs;

/// How long a test waits for records, in tokio's time.
const PATIENCE: Duration = Duration::from_mins(10);

/// A bus in memory.
#[derive(Debug, Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Counts the changes of the state; who waits for one subscribes before it looks.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    logs: Logs,
    faults: Faults,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changes.send_modify(|changes| *changes += 1);
        result
    }

    /// Looks at each state until there is something to see.
    async fn when<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            let seen = look(&mut self.lock());
            if let Some(seen) = seen {
                return seen;
            }
            changes.changed().await.expect("the sender is borrowed");
        }
    }

    /// Lets other callers run in between, waits while the bus is stalled, fails while it is down.
    async fn reach(&self) -> Result<(), Error> {
        tokio::task::yield_now().await;
        self.when(|state| match state.faults.availability {
            Availability::Up => Some(Ok(())),
            Availability::Stalled => None,
            Availability::Down => Some(Err(down())),
        })
        .await
    }
}

impl MemoryBus {
    /// A bus without topics; `clock` says when a record is taken.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { clock, state: Mutex::default(), changes: watch::Sender::new(0) };
        MemoryBus { shared: Arc::new(shared) }
    }

    /// Makes every topic of the platform, and its dead-letter topic.
    #[must_use]
    pub fn with_topics(self) -> Self {
        self.shared.change(|state| {
            for topic in Topic::ALL {
                state.logs.make(&topic.into());
                state.logs.make(&topic.dead_letter());
            }
        });
        self
    }

    /// Whether calls work from now on.
    pub fn set_availability(&self, availability: Availability) {
        self.shared.change(|state| state.faults.availability = availability);
    }

    /// The next `count` publications fail, whoever makes them.
    pub fn fail_next_publishes(&self, count: usize, mode: FailureMode) {
        self.shared.change(|state| state.faults.publishes.extend(vec![mode; count]));
    }

    /// The next `count` commits of a position fail.
    pub fn fail_next_commits(&self, count: usize, mode: FailureMode) {
        self.shared.change(|state| state.faults.commits.extend(vec![mode; count]));
    }

    /// The next `count` publications put their record into the topic twice.
    pub fn duplicate_next_publishes(&self, count: usize) {
        self.shared.change(|state| state.faults.duplicates += count);
    }

    /// The next `count` deliveries are delivered once more afterwards.
    pub fn repeat_next_deliveries(&self, count: usize) {
        self.shared.change(|state| state.faults.repeats += count);
    }

    /// The group has never committed a position: its next consumer begins at the beginning.
    pub fn forget_position(&self, topic: impl Into<TopicName>, group: &str) {
        self.shared.change(|state| state.logs.forget(&topic.into(), group));
    }

    /// The broker comes back with an empty topic: records and positions are gone, offsets begin again.
    pub fn lose_records(&self, topic: impl Into<TopicName>) {
        self.shared.change(|state| state.logs.lose(&topic.into()));
    }

    /// All records of a topic, in order; none if there is no such topic.
    pub fn records(&self, topic: impl Into<TopicName>) -> Vec<Delivery> {
        self.shared.lock().logs.records(&topic.into()).to_vec()
    }

    /// The records of a topic from a position on, in order.
    pub fn records_from(&self, topic: impl Into<TopicName>, from: Offset) -> Vec<Delivery> {
        let from = usize::try_from(from.0).unwrap_or_default();
        self.shared.lock().logs.records(&topic.into()).get(from..).unwrap_or_default().to_vec()
    }

    /// All messages of a topic, in order. Every record of it must be one.
    pub fn messages(&self, topic: Topic) -> Vec<Envelope> {
        let records = self.records(topic);
        let decode = |delivery: &Delivery| Envelope::decode(&delivery.record.payload, topic);
        records.iter().map(|delivery| decode(delivery).expect("the record is a message")).collect()
    }

    /// The position that a group has committed.
    pub fn position(&self, topic: impl Into<TopicName>, group: &str) -> Option<Offset> {
        self.shared.lock().logs.position(&topic.into(), group)
    }

    /// Returns the records of a topic as soon as they are as wanted.
    pub async fn wait_for(
        &self,
        topic: impl Into<TopicName>,
        mut wanted: impl FnMut(&[Delivery]) -> bool,
    ) -> Vec<Delivery> {
        let topic = topic.into();
        let found = self.shared.when(|state| {
            let records = state.logs.records(&topic);
            wanted(records).then(|| records.to_vec())
        });
        timeout(PATIENCE, found).await.expect("the topic gets the records that the test waits for")
    }

    /// Returns once a group has committed everything that its topic holds.
    pub async fn wait_until_consumed(&self, topic: impl Into<TopicName>, group: &str) {
        let topic = topic.into();
        let consumed = self.shared.when(|state| {
            let end = state.logs.end(&topic);
            (end.is_some() && state.logs.position(&topic, group) >= end).then_some(())
        });
        timeout(PATIENCE, consumed).await.expect("the group reads its topic to the end");
    }

    /// Publishes a message as document 001's programs do: no key, no headers. Meets no faults.
    pub fn inject(&self, message: &Envelope) -> Offset {
        let record = Record { key: None, headers: Vec::new(), payload: message.encode() };
        self.inject_record(message.to_topic, record)
    }

    /// Puts any record into any topic. Meets no faults.
    pub fn inject_record(&self, topic: impl Into<TopicName>, record: Record) -> Offset {
        let now = self.shared.clock.now();
        let topic = topic.into();
        self.shared.change(|state| {
            state.logs.make(&topic);
            state.logs.append(&topic, now, record).expect("the topic was just made")
        })
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn ensure_topics(&self, topics: &[TopicName]) -> Result<(), Error> {
        self.shared.reach().await?;
        self.shared.change(|state| topics.iter().for_each(|topic| state.logs.make(topic)));
        Ok(())
    }

    async fn publish(&self, topic: &TopicName, record: Record) -> Result<Offset, Error> {
        record.check_size()?;
        self.shared.reach().await?;
        let now = self.shared.clock.now();
        self.shared.change(|state| {
            let failure = state.faults.publishes.pop_front();
            if failure == Some(FailureMode::Refused) {
                return Err(down());
            }
            if state.faults.duplicates > 0 {
                state.faults.duplicates -= 1;
                state.logs.append(topic, now, record.clone())?;
            }
            let offset = state.logs.append(topic, now, record)?;
            if failure.is_some() { Err(down()) } else { Ok(offset) }
        })
    }

    async fn consume(&self, topic: &TopicName, group: &str) -> Result<Box<dyn Consumer>, Error> {
        self.shared.reach().await?;
        let position = {
            let state = self.shared.lock();
            state.logs.existing_end(topic)?;
            state.logs.position(topic, group).unwrap_or(Offset(0))
        };
        let group = Some(group.to_owned());
        Ok(Box::new(MemoryConsumer::new(Arc::clone(&self.shared), topic, group, position)))
    }

    async fn end(&self, topic: &TopicName) -> Result<Offset, Error> {
        self.shared.reach().await?;
        self.shared.lock().logs.existing_end(topic)
    }

    async fn read(&self, topic: &TopicName, from: Offset) -> Result<Box<dyn Consumer>, Error> {
        self.shared.reach().await?;
        self.shared.lock().logs.existing_end(topic)?;
        Ok(Box::new(MemoryConsumer::new(Arc::clone(&self.shared), topic, None, from)))
    }
}

#[cfg(test)]
mod tests;
