//! What holds of records.

use std::cell::Cell;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use common::port::Bus;
use common::port::bus::{Error, Header, MAX_PAYLOAD, MAX_RECORD, Offset, Record};
use jiff::SignedDuration;
use tokio::time::timeout;

use super::{
    MOMENT, World, consume, header, next, next_offset, other_topic, publish, publish_numbers,
    publish_to, read, ready, record, topic, waits, within,
};

pub(super) async fn come_back_as_they_were_published(world: &dyn World) {
    let bus = ready(world).await;
    let headers = vec![
        header("message-id", b"one"),
        header("binary", &[0, 159, 146, 150]),
        header("empty", b""),
        header("message-id", b"two"),
    ];
    let payload = Bytes::from_static(b"payload \xf0\x9f\x98\x80 \xff\x00");
    let sent = Record { headers, payload, ..record("shop-\u{e9}", "") };
    publish(bus.as_ref(), sent.clone()).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    let Record { key, headers, payload } = next(consumer.as_mut()).await.record;
    assert_eq!(key, sent.key, "the key is as it was");
    assert_eq!(headers, sent.headers, "the headers are as they were");
    assert_eq!(payload, sent.payload, "the payload is as it was");
}

pub(super) async fn may_lack_everything(world: &dyn World) {
    let bus = ready(world).await;
    let sent = Record { key: None, headers: Vec::new(), payload: Bytes::new() };
    publish(bus.as_ref(), sent.clone()).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert_eq!(next(consumer.as_mut()).await.record, sent);
}

pub(super) async fn may_have_an_empty_key(world: &dyn World) {
    let bus = ready(world).await;
    publish(bus.as_ref(), record("", "payload")).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert_eq!(next(consumer.as_mut()).await.record.key.as_deref(), Some(""));
}

pub(super) async fn come_in_the_order_of_their_publication(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..50).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    for number in 0..50 {
        let delivery = next(consumer.as_mut()).await;
        assert_eq!(delivery.record.payload, number.to_string(), "in their order");
        assert_eq!(delivery.offset, Offset(number), "under their numbers");
    }
}

pub(super) async fn keep_their_order_per_key_when_published_side_by_side(world: &dyn World) {
    let bus = ready(world).await;
    let publish_all = async |key: &'static str| {
        for number in 0..20 {
            publish(bus.as_ref(), record(key, number.to_string())).await;
        }
    };
    tokio::join!(publish_all("one"), publish_all("two"), publish_all("three"));
    let mut consumer = consume(bus.as_ref(), "group").await;
    let mut seen = Vec::new();
    for _ in 0..60 {
        seen.push(next(consumer.as_mut()).await.record);
    }
    let numbers: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    for key in ["one", "two", "three"] {
        let of_key = seen.iter().filter(|record| record.key.as_deref() == Some(key));
        let payloads: Vec<Bytes> = of_key.map(|record| record.payload.clone()).collect();
        assert_eq!(payloads, numbers, "{key}");
    }
}

pub(super) async fn have_a_largest_payload(world: &dyn World) {
    let bus = ready(world).await;
    let largest = record("key", "x".repeat(MAX_PAYLOAD));
    publish(bus.as_ref(), largest.clone()).await;
    let larger = record("key", "x".repeat(MAX_PAYLOAD + 1));
    is_refused(bus.as_ref(), larger, MAX_PAYLOAD + 1).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert!(next(consumer.as_mut()).await.record == largest, "the largest is as it was");
    assert!(waits(consumer.as_mut()).await, "what is refused is not kept");
}

pub(super) async fn have_a_largest_size(world: &dyn World) {
    let bus = ready(world).await;
    let with_header = |size: usize| {
        let bare = Record { headers: vec![header("filler", b"")], ..record("key", "payload") };
        let value = Bytes::from("x".repeat(size - bare.size()));
        Record { headers: vec![Header { value, ..header("filler", b"") }], ..bare }
    };
    let with_key = |size: usize| {
        let bare = record("", "payload").size();
        record(&"k".repeat(size - bare), "payload")
    };
    for largest in [with_header(MAX_RECORD), with_key(MAX_RECORD)] {
        publish(bus.as_ref(), largest).await;
    }
    for larger in [with_header(MAX_RECORD + 1), with_key(MAX_RECORD + 1)] {
        is_refused(bus.as_ref(), larger, MAX_RECORD + 1).await;
    }
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert!(next(consumer.as_mut()).await.record == with_header(MAX_RECORD), "it is as it was");
    assert!(next(consumer.as_mut()).await.record == with_key(MAX_RECORD), "it is as it was");
    assert!(waits(consumer.as_mut()).await, "what is refused is not kept");
}

async fn is_refused(bus: &dyn Bus, record: Record, of_size: usize) {
    let refused = within(bus.publish(&topic(), record)).await;
    let is_told = matches!(refused, Err(Error::TooLarge { size }) if size == of_size);
    assert!(is_told, "{of_size} bytes are too many: {refused:?}");
}

pub(super) async fn say_when_they_were_taken(world: &dyn World) {
    let bus = ready(world).await;
    let before = world.clock().now();
    publish_numbers(bus.as_ref(), 0..3).await;
    let after = world.clock().now();
    let tolerance = SignedDuration::from_mins(1);
    let mut consumer = consume(bus.as_ref(), "group").await;
    let mut last = None;
    for _ in 0..3 {
        let taken = next(consumer.as_mut()).await.timestamp;
        let is_right = before - tolerance <= taken && taken <= after + tolerance;
        assert!(is_right, "{taken} is not when it was taken");
        assert!(last <= Some(taken), "{last:?} is later than {taken}");
        last = Some(taken);
    }
}

pub(super) async fn are_waited_for(world: &dyn World) {
    let bus = ready(world).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    for number in 0..3 {
        let waited = {
            let mut waiting = Box::pin(consumer.next());
            let early = timeout(MOMENT, &mut waiting).await;
            assert!(early.is_err(), "there is no record yet: {early:?}");
            publish(bus.as_ref(), record("key", number.to_string())).await;
            within(waiting).await.expect("there is a record now")
        };
        assert_eq!(waited.offset, Offset(number));
    }
}

pub(super) async fn are_not_lost_when_the_wait_is_given_up(world: &dyn World) {
    const LAST: i64 = 100;
    let bus = ready(world).await;
    let mut consumer = consume(bus.as_ref(), "group").await;
    let publishing = Cell::new(true);
    let publish_all = async {
        publish_numbers(bus.as_ref(), 0..LAST).await;
        publishing.set(false);
    };
    let mut received = Vec::new();
    let receive_impatiently = async {
        for polls in (1..=5).cycle().take_while(|_| publishing.get()) {
            if let Some(delivery) = give_up_after(polls, consumer.next()).await {
                received.push(delivery.expect("there is a record").offset.0);
            }
        }
    };
    tokio::join!(publish_all, receive_impatiently);
    publish_numbers(bus.as_ref(), LAST..LAST + 1).await;
    while received.last() != Some(&LAST) {
        received.push(next_offset(consumer.as_mut()).await);
    }
    assert_eq!(received, (0..=LAST).collect::<Vec<i64>>(), "no record is lost");
}

/// Polls a future so many times, lets everybody else run in between, and drops it.
async fn give_up_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = futures::poll!(future.as_mut()) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

pub(super) async fn of_one_topic_stay_in_it(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..2).await;
    let elsewhere = publish_to(bus.as_ref(), &other_topic(), record("key", "other")).await;
    assert_eq!(elsewhere, Offset(0), "each topic has numbers of its own");
    let mut consumer = consume(bus.as_ref(), "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0);
    assert_eq!(next_offset(consumer.as_mut()).await, 1);
    let mut other = within(bus.consume(&other_topic(), "group")).await.expect("it is consumed");
    assert_eq!(next(other.as_mut()).await.record.payload, "other");
    assert!(waits(consumer.as_mut()).await, "the other topic's record is not this one's");
}

pub(super) async fn outlive_the_process(world: &dyn World) {
    let bus = ready(world).await;
    publish_numbers(bus.as_ref(), 0..3).await;
    drop(bus);
    let bus = world.reopen().await;
    let end = within(bus.end(&topic())).await.expect("the topic is still there");
    assert_eq!(end, Offset(3), "all that was acknowledged is still there");
    let mut reader = read(bus.as_ref(), &topic(), 0).await;
    for number in 0..3 {
        assert_eq!(next(reader.as_mut()).await.record.payload, number.to_string());
    }
}
