//! What holds of positions.

use common::port::bus::Offset;

use super::{
    World, commit, consume, next_offset, other_topic, publish_numbers, publish_to, read, ready,
    record, topic, waits, within,
};

/// Of a group that has committed nothing, however often it consumes.
pub(super) async fn begin_at_the_beginning(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..2).await;
    for _ in 0..2 {
        let mut consumer = consume(bus.as_ref(), "group").await;
        assert_eq!(next_offset(consumer.as_mut()).await, 0, "the beginning");
        assert_eq!(next_offset(consumer.as_mut()).await, 1, "the second record");
    }
}

pub(super) async fn that_are_committed_are_where_the_next_consumer_starts(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..5).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    for number in 0..3 {
        assert_eq!(next_offset(consumer.as_mut()).await, number);
        commit(consumer.as_mut(), number + 1).await;
    }
    drop(consumer);
    let mut successor = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(successor.as_mut()).await, 3, "the position is where it starts");
    commit(successor.as_mut(), 5).await;
    drop(successor);
    let mut last = consume(bus.as_ref(), "group").await;
    assert!(waits(last.as_mut()).await, "all is done");
    publish_numbers(bus.as_ref(), 5..6).await;
    assert_eq!(next_offset(last.as_mut()).await, 5);
}

pub(super) async fn that_are_not_committed_are_read_again(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..4).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0);
    commit(consumer.as_mut(), 1).await;
    assert_eq!(next_offset(consumer.as_mut()).await, 1);
    assert_eq!(next_offset(consumer.as_mut()).await, 2);
    drop(consumer);
    let mut successor = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(successor.as_mut()).await, 1, "what is not done is read again");
}

/// Work may be done behind where is read.
pub(super) async fn of_a_consumer_are_not_moved_by_its_commit(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..4).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    for number in 0..3 {
        assert_eq!(next_offset(consumer.as_mut()).await, number);
    }
    commit(consumer.as_mut(), 1).await;
    assert_eq!(next_offset(consumer.as_mut()).await, 3, "it reads on where it was");
}

pub(super) async fn of_two_groups_are_independent(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..3).await;
    let mut one = consume(bus.as_ref(), "one").await;
    commit(one.as_mut(), 2).await;
    drop(one);
    let mut two = consume(bus.as_ref(), "two").await;
    assert_eq!(next_offset(two.as_mut()).await, 0, "the other group is at the beginning");
    commit(two.as_mut(), 1).await;
    drop(two);
    let mut one = consume(bus.as_ref(), "one").await;
    assert_eq!(next_offset(one.as_mut()).await, 2, "the first group is where it was");
    let mut two = consume(bus.as_ref(), "two").await;
    assert_eq!(next_offset(two.as_mut()).await, 1);
}

pub(super) async fn of_two_topics_are_independent(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..3).await;
    for number in 0..3 {
        publish_to(bus.as_ref(), &other_topic(), record("key", number.to_string())).await;
    }
    let mut consumer = consume(bus.as_ref(), "group").await;
    commit(consumer.as_mut(), 2).await;
    drop(consumer);
    let mut other = within(bus.consume(&other_topic(), "group")).await.expect("it is consumed");
    assert_eq!(next_offset(other.as_mut()).await, 0, "the group is new to the other topic");
}

/// A successor takes over at once, while its predecessor may still be there.
pub(super) async fn need_no_membership(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..4).await;
    let mut old = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(old.as_mut()).await, 0);
    commit(old.as_mut(), 1).await;
    let mut new = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(new.as_mut()).await, 1, "the successor has taken over");
    commit(new.as_mut(), 2).await;
    assert_eq!(next_offset(old.as_mut()).await, 1, "the predecessor reads on");
    assert_eq!(next_offset(new.as_mut()).await, 2);
}

pub(super) async fn of_a_reader_are_its_own(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..4).await;
    let mut reader = read(bus.as_ref(), &topic(), 2).await;
    assert_eq!(next_offset(reader.as_mut()).await, 2, "where it was told to begin");
    commit(reader.as_mut(), 3).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0, "a reader commits nothing");
    let mut again = read(bus.as_ref(), &topic(), 0).await;
    for number in 0..4 {
        assert_eq!(next_offset(again.as_mut()).await, number);
    }
    let mut at_the_end = read(bus.as_ref(), &topic(), 4).await;
    publish_numbers(bus.as_ref(), 4..5).await;
    assert_eq!(next_offset(at_the_end.as_mut()).await, 4);
}

/// As after the loss of a log: what is there now is read, rather than waited for in vain.
pub(super) async fn that_are_no_more_mean_the_beginning(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..1).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    commit(consumer.as_mut(), 7).await;
    drop(consumer);
    let mut successor = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(successor.as_mut()).await, 0, "the beginning");
    let mut reader = read(bus.as_ref(), &topic(), 7).await;
    assert_eq!(next_offset(reader.as_mut()).await, 0, "the beginning, for a reader too");
}

pub(super) async fn outlive_the_process(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..3).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    commit(consumer.as_mut(), 2).await;
    drop((bus, consumer));
    let bus = world.reopen().await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 2, "the position is still there");
    let end = within(bus.publish(&topic(), record("key", "3"))).await;
    assert_eq!(end.expect("the record is published"), Offset(3));
}
