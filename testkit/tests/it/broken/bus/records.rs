//! Flaws of records.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Bus as _;
use common::port::bus::{
    Consumer, Delivery, Error, Header, MAX_PAYLOAD, MAX_RECORD, Offset, Record,
};
use common::topic::{Topic, TopicName};
use jiff::{SignedDuration, Timestamp};
use testkit::MemoryBus;
use testkit::contract::bus::World;
use tokio::task::yield_now;

use super::super::Planted;
use super::flaw::Flaw;
use super::planted as plant;
use super::reading::{Altered, Dropping, Hasty, Impatient};

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    contents().into_iter().chain(sizes()).chain(deliveries()).collect()
}

fn contents() -> Vec<Planted<dyn World>> {
    let same = "records::come_back_as_they_were_published";
    let (headers, times) = ("the headers are as they were", "records::say_when_they_were_taken");
    vec![
        plant(same, "the key is as it was", || alters("no keys", |r| r.key = None)),
        plant(same, headers, || alters("no headers", |r| r.headers.clear())),
        plant(same, headers, || {
            alters("headers by name", |r| r.headers.sort_by(|a, b| a.name.cmp(&b.name)))
        }),
        plant(same, headers, || {
            alters("one header of a name", |r| {
                let mut seen = BTreeSet::new();
                r.headers.retain(|header| seen.insert(header.name.clone()));
            })
        }),
        plant(same, headers, || alters("headers as text", |r| r.headers.iter_mut().for_each(read))),
        plant(same, "the payload is as it was", || {
            alters("payloads as text", |r| r.payload = as_text(&r.payload))
        }),
        plant("records::may_lack_everything", "left == right", || {
            alters("a key for all", |r| r.key = Some(r.key.take().unwrap_or_default()))
        }),
        plant("records::may_lack_everything", "it happens in time", || Alters {
            how: "empty payloads are none",
            alter: |delivery| (!delivery.record.payload.is_empty()).then_some(delivery),
        }),
        plant("records::may_have_an_empty_key", "left == right", || {
            alters("an empty key is none", |r| r.key = r.key.take().filter(|key| !key.is_empty()))
        }),
        plant(times, "is not when it was taken", || Alters {
            how: "no time",
            alter: |delivery| Some(Delivery { timestamp: Timestamp::UNIX_EPOCH, ..delivery }),
        }),
        plant(times, "is later than", || Alters {
            how: "time that goes back",
            alter: |delivery| {
                let timestamp = delivery.timestamp - SignedDuration::from_secs(delivery.offset.0);
                Some(Delivery { timestamp, ..delivery })
            },
        }),
    ]
}

fn sizes() -> Vec<Planted<dyn World>> {
    let (payload, whole) = ("records::have_a_largest_payload", "records::have_a_largest_size");
    let (published, told) = ("the record is published", "bytes are too many");
    let kept = "what is refused is not kept";
    vec![
        plant(payload, told, || Takes { payload: usize::MAX, whole: usize::MAX }),
        plant(payload, published, || Takes { payload: MAX_PAYLOAD - 1, whole: MAX_RECORD }),
        plant(payload, told, || SaysTheWholeSize),
        plant(payload, kept, || Keeps(|record| record.payload.len() > MAX_PAYLOAD)),
        plant(whole, told, || Takes { payload: MAX_PAYLOAD, whole: usize::MAX }),
        plant(whole, published, || Takes { payload: MAX_PAYLOAD, whole: MAX_RECORD - 1 }),
        plant(whole, kept, || Keeps(|record| record.size() > MAX_RECORD)),
    ]
}

fn deliveries() -> Vec<Planted<dyn World>> {
    let waited = "records::are_waited_for";
    vec![
        plant(waited, "it happens in time", || {
            Reads("never wakes", |_, _, inner| Box::new(Impatient { inner, gives_up: false }))
        }),
        plant(waited, "there is no record yet", || {
            Reads("gives up", |_, _, inner| Box::new(Impatient { inner, gives_up: true }))
        }),
        plant("records::come_in_the_order_of_their_publication", "in their order", || {
            Reads("overtakes", |bus, topic, inner| {
                Box::new(Hasty { inner, bus: bus.clone(), topic: topic.clone(), held: None })
            })
        }),
        plant(
            "records::keep_their_order_per_key_when_published_side_by_side",
            "it happens in time",
            LosesRaces::default,
        ),
        plant("records::are_not_lost_when_the_wait_is_given_up", "no record is lost", || {
            Reads("drops what it took", |_, _, inner| Box::new(Dropping(inner)))
        }),
        plant("records::of_one_topic_stay_in_it", "is not this one's", || CopiesDeadLetters),
        plant("records::outlive_the_process", "still there", || LosesTheLast),
    ]
}

/// Hands out something else.
struct Alters {
    how: &'static str,
    alter: fn(Delivery) -> Option<Delivery>,
}

impl fmt::Debug for Alters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.how)
    }
}

#[async_trait]
impl Flaw for Alters {
    async fn consume(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        group: &str,
    ) -> Result<Box<dyn Consumer>, Error> {
        Ok(Altered::boxed(bus.consume(topic, group).await?, self.alter))
    }
}

/// Hands out records that are not as they were.
struct Changes {
    how: &'static str,
    change: fn(&mut Record),
}

fn alters(how: &'static str, change: fn(&mut Record)) -> Changes {
    Changes { how, change }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.how)
    }
}

#[async_trait]
impl Flaw for Changes {
    async fn consume(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        group: &str,
    ) -> Result<Box<dyn Consumer>, Error> {
        let change = self.change;
        let alter = move |mut delivery: Delivery| {
            change(&mut delivery.record);
            Some(delivery)
        };
        Ok(Altered::boxed(bus.consume(topic, group).await?, alter))
    }
}

fn as_text(bytes: &Bytes) -> Bytes {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn read(header: &mut Header) {
    header.value = as_text(&header.value);
}

type Wrap = fn(&MemoryBus, &TopicName, Box<dyn Consumer>) -> Box<dyn Consumer>;

/// Consumes otherwise.
struct Reads(&'static str, Wrap);

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[async_trait]
impl Flaw for Reads {
    async fn consume(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        group: &str,
    ) -> Result<Box<dyn Consumer>, Error> {
        Ok((self.1)(bus, topic, bus.consume(topic, group).await?))
    }
}

/// Has other limits.
#[derive(Debug)]
struct Takes {
    payload: usize,
    whole: usize,
}

#[async_trait]
impl Flaw for Takes {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        for (size, largest) in [(record.payload.len(), self.payload), (record.size(), self.whole)] {
            if size > largest {
                return Err(Error::TooLarge { size });
            }
        }
        // Checks nothing but that there is such a topic.
        bus.end(topic).await?;
        Ok(bus.inject_record(topic.clone(), record))
    }
}

#[derive(Debug)]
struct SaysTheWholeSize;

#[async_trait]
impl Flaw for SaysTheWholeSize {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        let size = record.size();
        match bus.publish(topic, record).await {
            Err(Error::TooLarge { .. }) => Err(Error::TooLarge { size }),
            published => published,
        }
    }
}

/// Refuses what is too large only when it has been written.
#[derive(Debug)]
struct Keeps(fn(&Record) -> bool);

#[async_trait]
impl Flaw for Keeps {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        if (self.0)(&record) {
            bus.inject_record(topic.clone(), record.clone());
        }
        bus.publish(topic, record).await
    }
}

/// Of two that publish at once one is told that it has.
#[derive(Debug, Default)]
struct LosesRaces {
    under_way: AtomicUsize,
}

#[async_trait]
impl Flaw for LosesRaces {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        let is_second = self.under_way.fetch_add(1, Ordering::Relaxed) > 0;
        yield_now().await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        if is_second { bus.end(topic).await } else { bus.publish(topic, record).await }
    }
}

#[derive(Debug)]
struct CopiesDeadLetters;

#[async_trait]
impl Flaw for CopiesDeadLetters {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        if *topic == Topic::DeploymentManager.dead_letter() {
            bus.inject_record(Topic::DeploymentManager, record.clone());
        }
        bus.publish(topic, record).await
    }
}

/// Acknowledges what is not written yet.
#[derive(Debug)]
struct LosesTheLast;

#[async_trait]
impl Flaw for LosesTheLast {
    async fn restart(&self, bus: &MemoryBus) {
        let mut records = bus.records(Topic::DeploymentManager);
        records.pop();
        bus.lose_records(Topic::DeploymentManager);
        for delivery in records {
            bus.inject_record(Topic::DeploymentManager, delivery.record);
        }
    }
}
