//! What every [`Bus`] keeps: one clause a sentence of the contract (`design.md` 5 and the port's own words).

mod positions;
mod records;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::port::bus::{Consumer, Delivery, Error, Header, Offset, Record};
use common::port::{Bus, Clock};
use common::topic::{Topic, TopicName};
use tokio::time::timeout;

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fails unless the buses that `open` gives keep the contract. Each call opens another bus, without
/// any topic; `clock` is right to a minute about what the broker says.
pub async fn holds(open: impl AsyncFn() -> Arc<dyn Bus>, clock: &dyn Clock) {
    topics::nobody_made_are_unknown(open().await.as_ref()).await;
    topics::can_be_made_again_and_keep_their_records(open().await.as_ref()).await;
    topics::end_where_the_next_record_goes(open().await.as_ref()).await;

    let bus = ready(&open).await;
    records::come_back_as_they_were_published(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::may_lack_everything(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::come_in_the_order_of_their_publication(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::keep_their_order_per_key_when_published_side_by_side(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::have_a_largest_size(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::say_when_they_were_taken(bus.as_ref(), clock).await;
    let bus = ready(&open).await;
    records::are_waited_for(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::are_not_lost_when_the_wait_is_given_up(bus.as_ref()).await;
    let bus = ready(&open).await;
    records::of_one_topic_stay_in_it(bus.as_ref()).await;

    let bus = ready(&open).await;
    positions::begin_at_the_beginning(bus.as_ref()).await;
    let bus = ready(&open).await;
    positions::that_are_committed_are_where_the_next_consumer_starts(bus.as_ref()).await;
    let bus = ready(&open).await;
    positions::that_are_not_committed_are_read_again(bus.as_ref()).await;
    let bus = ready(&open).await;
    positions::of_two_groups_are_independent(bus.as_ref()).await;
    let bus = ready(&open).await;
    positions::need_no_membership(bus.as_ref()).await;
    let bus = ready(&open).await;
    positions::of_a_reader_are_its_own(bus.as_ref()).await;
}

/// A bus with the topics that the clauses use.
async fn ready(open: &impl AsyncFn() -> Arc<dyn Bus>) -> Arc<dyn Bus> {
    let bus = open().await;
    within(bus.ensure_topics(&[topic(), other_topic()])).await.expect("topics can be made");
    bus
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

async fn publish(bus: &dyn Bus, record: Record) -> Offset {
    within(bus.publish(&topic(), record)).await.expect("the record is published")
}

/// Publishes as many records as asked for, with their numbers as payloads.
async fn publish_numbers(bus: &dyn Bus, numbers: std::ops::Range<i64>) {
    for number in numbers {
        assert_eq!(publish(bus, record("key", number.to_string())).await, Offset(number));
    }
}

async fn consume(bus: &dyn Bus, group: &str) -> Box<dyn Consumer> {
    within(bus.consume(&topic(), group)).await.expect("the topic can be consumed")
}

async fn next(consumer: &mut dyn Consumer) -> Delivery {
    within(consumer.next()).await.expect("there is a record")
}

async fn next_offset(consumer: &mut dyn Consumer) -> i64 {
    next(consumer).await.offset.0
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
