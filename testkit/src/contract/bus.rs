//! What every [`Bus`] keeps: one clause a sentence of the contract (`design.md` 5 and the port's own words).

mod positions;
mod records;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::port::bus::{Consumer, Delivery, Error, Header, Offset, Record};
use common::port::{Bus, Clock};
use common::topic::{Topic, TopicName};
use tokio::time::timeout;

use super::Clause;
use super::clause::{all_hold, clauses};

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing is waited for.
const MOMENT: Duration = Duration::from_millis(50);

/// Where the suite finds buses.
#[async_trait(?Send)]
pub trait World {
    /// A bus of its own, without any topic.
    async fn open(&self) -> Arc<dyn Bus>;

    /// The bus that was opened last, as a process finds it that begins after the former one ended.
    async fn reopen(&self) -> Arc<dyn Bus>;

    /// Right to a minute about what the bus says.
    fn clock(&self) -> &dyn Clock;
}

/// All clauses. Each relies on those before it.
pub const CLAUSES: &[Clause<dyn World>] = clauses![
    topics::nobody_made_are_unknown,
    topics::can_be_made_again_and_keep_their_records,
    topics::are_made_beside_those_that_are_there,
    topics::end_where_the_next_record_goes,
    topics::have_one_partition,
    positions::begin_at_the_beginning,
    records::are_waited_for,
    positions::that_are_committed_are_where_the_next_consumer_starts,
    positions::that_are_not_committed_are_read_again,
    positions::of_a_consumer_are_not_moved_by_its_commit,
    positions::of_two_groups_are_independent,
    positions::of_two_topics_are_independent,
    positions::need_no_membership,
    positions::of_a_reader_are_its_own,
    positions::that_are_no_more_mean_the_beginning,
    records::come_back_as_they_were_published,
    records::may_lack_everything,
    records::may_have_an_empty_key,
    records::come_in_the_order_of_their_publication,
    records::keep_their_order_per_key_when_published_side_by_side,
    records::have_a_largest_payload,
    records::have_a_largest_size,
    records::say_when_they_were_taken,
    records::are_not_lost_when_the_wait_is_given_up,
    records::of_one_topic_stay_in_it,
    records::outlive_the_process,
    positions::outlive_the_process,
];

/// Fails unless the buses of `world` keep the contract.
pub async fn holds(world: &(dyn World + 'static)) {
    all_hold(CLAUSES, world).await;
}

/// A bus with the topics that the clauses use.
async fn ready(world: &dyn World) -> Arc<dyn Bus> {
    let bus = world.open().await;
    make(bus.as_ref(), &[topic(), other_topic()]).await;
    bus
}

async fn make(bus: &dyn Bus, topics: &[TopicName]) {
    within(bus.ensure_topics(topics)).await.expect("topics can be made");
}

fn topic() -> TopicName {
    Topic::DeploymentManager.into()
}

fn other_topic() -> TopicName {
    Topic::DeploymentManager.dead_letter()
}

fn record(key: &str, payload: impl Into<String>) -> Record {
    Record { key: Some(key.to_owned()), headers: Vec::new(), payload: Bytes::from(payload.into()) }
}

fn header(name: &str, value: &'static [u8]) -> Header {
    Header { name: name.to_owned(), value: Bytes::from_static(value) }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

async fn publish_to(bus: &dyn Bus, topic: &TopicName, record: Record) -> Offset {
    within(bus.publish(topic, record)).await.expect("the record is published")
}

async fn publish(bus: &dyn Bus, record: Record) -> Offset {
    publish_to(bus, &topic(), record).await
}

/// Publishes as many records as asked for, with their numbers as payloads.
async fn publish_numbers(bus: &dyn Bus, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let offset = publish(bus, record("key", number.to_string())).await;
        assert_eq!(offset, Offset(number), "offsets are numbers from 0");
    }
}

async fn consume(bus: &dyn Bus, group: &str) -> Box<dyn Consumer> {
    within(bus.consume(&topic(), group)).await.expect("the topic can be consumed")
}

async fn read(bus: &dyn Bus, topic: &TopicName, from: i64) -> Box<dyn Consumer> {
    within(bus.read(topic, Offset(from))).await.expect("the topic can be read")
}

async fn next(consumer: &mut dyn Consumer) -> Delivery {
    within(consumer.next()).await.expect("there is a record")
}

async fn next_offset(consumer: &mut dyn Consumer) -> i64 {
    next(consumer).await.offset.0
}

/// Whether the consumer waits: there is nothing for it.
async fn waits(consumer: &mut dyn Consumer) -> bool {
    timeout(MOMENT, consumer.next()).await.is_err()
}

async fn commit(consumer: &mut dyn Consumer, position: i64) {
    within(consumer.commit(Offset(position))).await.expect("the position is committed");
}

async fn end(bus: &dyn Bus) -> i64 {
    within(bus.end(&topic())).await.expect("the topic has an end").0
}

fn is_unknown<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::UnknownTopic { topic: said }) if *said == topic())
}
