//! What holds of topics.

use common::port::bus::Offset;

use super::{
    World, end, is_unknown, make, next, other_topic, publish, publish_numbers, publish_to, read,
    ready, record, topic, within,
};

pub(super) async fn nobody_made_are_unknown(world: &dyn World) {
    let bus = world.open().await;
    let published = within(bus.publish(&topic(), record("key", "lost"))).await;
    assert!(is_unknown(&published), "published: {published:?}");
    let consumed = within(bus.consume(&topic(), "group")).await;
    assert!(is_unknown(&consumed), "consumed: {consumed:?}");
    let read = within(bus.read(&topic(), Offset(0))).await;
    assert!(is_unknown(&read), "read: {read:?}");
    let end = within(bus.end(&topic())).await;
    assert!(is_unknown(&end), "ended: {end:?}");
}

pub(super) async fn can_be_made_again_and_keep_their_records(world: &dyn World) {
    let bus = world.open().await;
    let none = within(bus.ensure_topics(&[])).await;
    none.expect("no topic at all is not missing");
    for _ in 0..2 {
        make(bus.as_ref(), &[topic()]).await;
    }
    publish(bus.as_ref(), record("key", "kept")).await;
    make(bus.as_ref(), &[topic()]).await;
    let mut reader = read(bus.as_ref(), &topic(), 0).await;
    assert_eq!(next(reader.as_mut()).await.record.payload, "kept");
}

pub(super) async fn are_made_beside_those_that_are_there(world: &dyn World) {
    let bus = world.open().await;
    make(bus.as_ref(), &[topic()]).await;
    make(bus.as_ref(), &[topic(), other_topic()]).await;
    publish_to(bus.as_ref(), &other_topic(), record("key", "made")).await;
}

pub(super) async fn end_where_the_next_record_goes(world: &dyn World) {
    let bus = ready(world).await;
    assert_eq!(end(bus.as_ref()).await, 0, "an empty topic ends at 0");
    publish_numbers(bus.as_ref(), 0..3).await;
    assert_eq!(end(bus.as_ref()).await, 3, "the end is behind the last record");
    assert_eq!(publish(bus.as_ref(), record("key", "3")).await, Offset(3));
}

/// Whatever their keys, records are numbered in one row.
pub(super) async fn have_one_partition(world: &dyn World) {
    let bus = ready(world).await;
    let keys = ["one", "two", "three", "two", "one", "four"];
    for (number, key) in (0..).zip(keys) {
        let offset = publish(bus.as_ref(), record(key, "")).await;
        assert_eq!(offset, Offset(number), "one row for all keys");
    }
    let mut reader = read(bus.as_ref(), &topic(), 0).await;
    for key in keys {
        assert_eq!(next(reader.as_mut()).await.record.key.as_deref(), Some(key));
    }
}
