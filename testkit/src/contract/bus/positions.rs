//! What holds of positions.

use std::time::Duration;

use common::port::Bus;
use common::port::bus::Offset;
use tokio::time::timeout;

use super::{commit, consume, next_offset, publish_numbers, topic, within};

pub(super) async fn begin_at_the_beginning(bus: &dyn Bus) {
    publish_numbers(bus, 0..2).await;
    let mut consumer = consume(bus, "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0);
    assert_eq!(next_offset(consumer.as_mut()).await, 1);
}

pub(super) async fn that_are_committed_are_where_the_next_consumer_starts(bus: &dyn Bus) {
    publish_numbers(bus, 0..5).await;
    let mut consumer = consume(bus, "group").await;
    for number in 0..3 {
        assert_eq!(next_offset(consumer.as_mut()).await, number);
        commit(consumer.as_mut(), number + 1).await;
    }
    drop(consumer);
    let mut successor = consume(bus, "group").await;
    assert_eq!(next_offset(successor.as_mut()).await, 3);
    commit(successor.as_mut(), 5).await;
    let mut last = consume(bus, "group").await;
    assert!(timeout(Duration::from_millis(50), last.next()).await.is_err(), "all is done");
    publish_numbers(bus, 5..6).await;
    assert_eq!(next_offset(last.as_mut()).await, 5);
}

pub(super) async fn that_are_not_committed_are_read_again(bus: &dyn Bus) {
    publish_numbers(bus, 0..4).await;
    let mut consumer = consume(bus, "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0);
    commit(consumer.as_mut(), 1).await;
    assert_eq!(next_offset(consumer.as_mut()).await, 1);
    assert_eq!(next_offset(consumer.as_mut()).await, 2);
    drop(consumer);
    let mut successor = consume(bus, "group").await;
    assert_eq!(next_offset(successor.as_mut()).await, 1);
}

pub(super) async fn of_two_groups_are_independent(bus: &dyn Bus) {
    publish_numbers(bus, 0..3).await;
    let mut one = consume(bus, "one").await;
    commit(one.as_mut(), 2).await;
    let mut two = consume(bus, "two").await;
    assert_eq!(next_offset(two.as_mut()).await, 0);
    commit(two.as_mut(), 1).await;
    let mut one = consume(bus, "one").await;
    assert_eq!(next_offset(one.as_mut()).await, 2);
    let mut two = consume(bus, "two").await;
    assert_eq!(next_offset(two.as_mut()).await, 1);
}

/// A successor takes over at once, while its predecessor may still be there.
pub(super) async fn need_no_membership(bus: &dyn Bus) {
    publish_numbers(bus, 0..4).await;
    let mut old = consume(bus, "group").await;
    assert_eq!(next_offset(old.as_mut()).await, 0);
    commit(old.as_mut(), 1).await;
    let mut new = consume(bus, "group").await;
    assert_eq!(next_offset(new.as_mut()).await, 1);
    commit(new.as_mut(), 2).await;
    assert_eq!(next_offset(old.as_mut()).await, 1);
    assert_eq!(next_offset(new.as_mut()).await, 2);
}

pub(super) async fn of_a_reader_are_its_own(bus: &dyn Bus) {
    publish_numbers(bus, 0..4).await;
    let mut reader = within(bus.read(&topic(), Offset(2))).await.expect("the topic can be read");
    assert_eq!(next_offset(reader.as_mut()).await, 2);
    commit(reader.as_mut(), 3).await;
    let mut again = within(bus.read(&topic(), Offset(0))).await.expect("the topic can be read");
    for number in 0..4 {
        assert_eq!(next_offset(again.as_mut()).await, number);
    }
    let mut consumer = consume(bus, "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0);
    let mut at_the_end = within(bus.read(&topic(), Offset(4))).await.expect("it can be read");
    publish_numbers(bus, 4..5).await;
    assert_eq!(next_offset(at_the_end.as_mut()).await, 4);
}
