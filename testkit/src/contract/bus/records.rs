//! What holds of records.

use std::cell::Cell;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use common::port::bus::{Error, MAX_PAYLOAD, Offset, Record};
use common::port::{Bus, Clock};
use jiff::SignedDuration;
use tokio::time::timeout;

use super::{
    consume, end, header, next, next_offset, other_topic, publish, publish_numbers, record, topic,
    within,
};

pub(super) async fn come_back_as_they_were_published(bus: &dyn Bus) {
    let headers = vec![
        header("message-id", b"one"),
        header("binary", &[0, 159, 146, 150]),
        header("empty", b""),
        header("message-id", b"two"),
    ];
    let sent = Record { headers, ..record("shop-\u{e9}", "payload \u{1f600}") };
    publish(bus, sent.clone()).await;
    let mut consumer = consume(bus, "group").await;
    assert_eq!(next(consumer.as_mut()).await.record, sent);
}

pub(super) async fn may_lack_everything(bus: &dyn Bus) {
    let sent = Record { key: None, headers: Vec::new(), payload: Bytes::new() };
    publish(bus, sent.clone()).await;
    let mut consumer = consume(bus, "group").await;
    assert_eq!(next(consumer.as_mut()).await.record, sent);
}

pub(super) async fn come_in_the_order_of_their_publication(bus: &dyn Bus) {
    publish_numbers(bus, 0..50).await;
    let mut consumer = consume(bus, "group").await;
    for number in 0..50 {
        let delivery = next(consumer.as_mut()).await;
        assert_eq!(delivery.offset, Offset(number));
        assert_eq!(delivery.record.payload, number.to_string());
    }
}

pub(super) async fn keep_their_order_per_key_when_published_side_by_side(bus: &dyn Bus) {
    let publish_all = async |key: &'static str| {
        for number in 0..20 {
            publish(bus, record(key, number.to_string())).await;
        }
    };
    tokio::join!(publish_all("one"), publish_all("two"), publish_all("three"));
    let mut consumer = consume(bus, "group").await;
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

pub(super) async fn have_a_largest_size(bus: &dyn Bus) {
    let largest = record("key", "x".repeat(MAX_PAYLOAD));
    publish(bus, largest.clone()).await;
    let larger = record("key", "x".repeat(MAX_PAYLOAD + 1));
    let refused = within(bus.publish(&topic(), larger)).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { size }) if size == MAX_PAYLOAD + 1),
        "{refused:?}"
    );
    let larger = Record { key: Some("k".repeat(1_100_000)), ..record("key", "x") };
    let refused = within(bus.publish(&topic(), larger)).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(end(bus).await, 1);
    let mut consumer = consume(bus, "group").await;
    assert!(next(consumer.as_mut()).await.record == largest);
}

pub(super) async fn say_when_they_were_taken(bus: &dyn Bus, clock: &dyn Clock) {
    let before = clock.now();
    publish_numbers(bus, 0..3).await;
    let after = clock.now();
    let tolerance = SignedDuration::from_mins(1);
    let mut consumer = consume(bus, "group").await;
    let mut last = None;
    for _ in 0..3 {
        let taken = next(consumer.as_mut()).await.timestamp;
        assert!(before - tolerance <= taken && taken <= after + tolerance, "{taken}");
        assert!(last <= Some(taken), "{last:?} is later than {taken}");
        last = Some(taken);
    }
}

pub(super) async fn are_waited_for(bus: &dyn Bus) {
    let mut consumer = consume(bus, "group").await;
    for number in 0..3 {
        let waited = {
            let mut waiting = Box::pin(consumer.next());
            let early = timeout(Duration::from_millis(50), &mut waiting).await;
            assert!(early.is_err(), "there is no record yet: {early:?}");
            publish(bus, record("key", number.to_string())).await;
            within(waiting).await.expect("there is a record now")
        };
        assert_eq!(waited.offset, Offset(number));
    }
}

pub(super) async fn are_not_lost_when_the_wait_is_given_up(bus: &dyn Bus) {
    let mut consumer = consume(bus, "group").await;
    let publishing = Cell::new(true);
    let publish_all = async {
        publish_numbers(bus, 0..100).await;
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
    while received.last() != Some(&99) {
        received.push(next_offset(consumer.as_mut()).await);
    }
    assert_eq!(received, (0..100).collect::<Vec<i64>>());
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

pub(super) async fn of_one_topic_stay_in_it(bus: &dyn Bus) {
    publish_numbers(bus, 0..2).await;
    let elsewhere = within(bus.publish(&other_topic(), record("key", "other"))).await;
    assert_eq!(elsewhere.expect("the record is published"), Offset(0));
    let mut consumer = consume(bus, "group").await;
    assert_eq!(next_offset(consumer.as_mut()).await, 0);
    assert_eq!(next_offset(consumer.as_mut()).await, 1);
    let mut other = within(bus.consume(&other_topic(), "group")).await.expect("it is consumed");
    assert_eq!(next(other.as_mut()).await.record.payload, "other");
    assert!(timeout(Duration::from_millis(50), consumer.next()).await.is_err());
}
