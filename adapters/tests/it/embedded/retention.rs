//! What a topic keeps.

use std::sync::Arc;

use adapters::EmbeddedBus;
use adapters::embedded::{Folder, Retention};
use common::port::Bus;
use common::port::bus::{Error, Offset};
use jiff::SignedDuration;
use testkit::ManualClock;

use super::{record, topic, within};

const DAY: SignedDuration = SignedDuration::from_hours(24);

struct World {
    _place: tempfile::TempDir,
    folder: Folder,
    clock: Arc<ManualClock>,
    retention: Retention,
    bus: EmbeddedBus,
}

impl World {
    async fn new(retention: Retention) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let clock = Arc::new(ManualClock::default());
        let bus = EmbeddedBus::open(&folder, clock.clone(), retention).unwrap();
        bus.ensure_topics(&[topic()]).await.unwrap();
        World { _place: place, folder, clock, retention, bus }
    }

    async fn publish(&self, size: usize) -> Result<Offset, Error> {
        within(self.bus.publish(&topic(), record(vec![b'x'; size]))).await
    }

    /// The offset of the oldest record.
    async fn first(&self) -> i64 {
        let mut reader = self.bus.read(&topic(), Offset(0)).await.unwrap();
        within(reader.next()).await.unwrap().offset.0
    }

    async fn restart(&mut self) {
        self.bus.close().await.unwrap();
        self.bus = EmbeddedBus::open(&self.folder, self.clock.clone(), self.retention).unwrap();
    }
}

#[tokio::test]
async fn records_are_kept_for_seven_days() {
    let mut world = World::new(Retention::default()).await;
    world.publish(10).await.unwrap();
    world.clock.advance(DAY * 3);
    world.publish(10).await.unwrap();
    world.clock.advance(DAY * 3);
    world.publish(10).await.unwrap();
    assert_eq!(world.first().await, 0);
    world.clock.advance(DAY + SignedDuration::from_secs(1));
    assert_eq!(world.publish(10).await.unwrap(), Offset(3));
    assert_eq!(world.first().await, 1);
    world.clock.advance(DAY * 20);
    world.restart().await;
    assert_eq!(world.publish(10).await.unwrap(), Offset(4), "offsets go on");
    assert_eq!(world.first().await, 4);
}

#[tokio::test]
async fn the_oldest_records_go_when_a_topic_is_full_and_everybody_has_read_them() {
    let retention = Retention { bytes: 10_000, ..Retention::default() };
    let mut world = World::new(retention).await;
    for _ in 0..20 {
        world.publish(1_000).await.unwrap();
    }
    assert_eq!(world.first().await, 11, "nobody reads: nine of about 1,050 bytes fit");

    drop(world.bus.consume(&topic(), "group").await.unwrap());
    let refused = world.publish(1_000).await;
    assert!(matches!(&refused, Err(Error::Unavailable(_))), "{refused:?}");
    world.restart().await;
    assert_eq!(world.first().await, 11, "what was not read is there");

    let mut other = world.bus.consume(&topic(), "other").await.unwrap();
    other.commit(Offset(20)).await.unwrap();
    let refused = world.publish(1_000).await;
    assert!(matches!(&refused, Err(Error::Unavailable(_))), "the first group is as far as before");
    let mut consumer = world.bus.consume(&topic(), "group").await.unwrap();
    assert_eq!(within(consumer.next()).await.unwrap().offset, Offset(11));
    consumer.commit(Offset(12)).await.unwrap();
    assert_eq!(world.publish(1_000).await.unwrap(), Offset(20));
    assert_eq!(world.first().await, 12);
}

#[tokio::test]
async fn a_reader_that_is_overtaken_goes_on_with_what_is_left() {
    let retention = Retention { bytes: 10_000, ..Retention::default() };
    let world = World::new(retention).await;
    let mut reader = world.bus.read(&topic(), Offset(0)).await.unwrap();
    for _ in 0..30 {
        world.publish(1_000).await.unwrap();
    }
    assert_eq!(within(reader.next()).await.unwrap().offset, Offset(21));
}
