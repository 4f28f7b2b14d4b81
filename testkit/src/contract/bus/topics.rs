//! What holds of topics.

use common::port::Bus;
use common::port::bus::Offset;

use super::{end, is_unknown, publish, publish_numbers, record, topic, within};

pub(super) async fn nobody_made_are_unknown(bus: &dyn Bus) {
    let published = within(bus.publish(&topic(), record("key", "lost"))).await;
    assert!(is_unknown(&published), "{published:?}");
    let consumed = within(bus.consume(&topic(), "group")).await;
    assert!(is_unknown(&consumed), "{consumed:?}");
    let read = within(bus.read(&topic(), Offset(0))).await;
    assert!(is_unknown(&read), "{read:?}");
    let end = within(bus.end(&topic())).await;
    assert!(is_unknown(&end), "{end:?}");
}

pub(super) async fn can_be_made_again_and_keep_their_records(bus: &dyn Bus) {
    let none = within(bus.ensure_topics(&[])).await;
    none.expect("no topic at all is not missing");
    for _ in 0..2 {
        within(bus.ensure_topics(&[topic()])).await.expect("topics can be made");
    }
    publish(bus, record("key", "kept")).await;
    within(bus.ensure_topics(&[topic()])).await.expect("topics can be made");
    assert_eq!(end(bus).await, 1);
}

pub(super) async fn end_where_the_next_record_goes(bus: &dyn Bus) {
    within(bus.ensure_topics(&[topic()])).await.expect("topics can be made");
    assert_eq!(end(bus).await, 0);
    publish_numbers(bus, 0..3).await;
    assert_eq!(end(bus).await, 3);
    assert_eq!(publish(bus, record("key", "3")).await, Offset(3));
}
