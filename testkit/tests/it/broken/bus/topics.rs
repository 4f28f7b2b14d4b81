//! Flaws of topics.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use common::port::Bus as _;
use common::port::bus::{Consumer, Error, Offset, Record};
use common::topic::TopicName;
use testkit::MemoryBus;
use testkit::contract::bus::World;

use super::super::Planted;
use super::flaw::Flaw;
use super::planted as plant;

pub(super) fn planted() -> Vec<Planted<dyn World>> {
    let unknown = "topics::nobody_made_are_unknown";
    let again = "topics::can_be_made_again_and_keep_their_records";
    vec![
        plant(unknown, "published: Ok", || PublishesToWhatIsNotThere),
        plant(unknown, "published: Err(Unavailable", || BlamesTheBroker),
        plant(unknown, "consumed: Ok", || ConsumesWhatIsNotThere),
        plant(unknown, "read: Ok", || ReadsWhatIsNotThere),
        plant(unknown, "ended: Ok", || EndsWhatIsNotThere),
        plant(again, "no topic at all is not missing", || RefusesNoTopics),
        plant(again, "topics can be made", || RefusesTopicsThatAreThere),
        plant(again, "it happens in time", || EmptiesTopicsThatAreThere),
        plant("topics::are_made_beside_those_that_are_there", "UnknownTopic", || {
            StopsAtATopicThatIsThere
        }),
        plant("topics::end_where_the_next_record_goes", "behind the last record", || {
            EndsAtTheLastRecord
        }),
        plant("topics::have_one_partition", "one row for all keys", NumbersPerKey::default),
    ]
}

#[derive(Debug)]
struct PublishesToWhatIsNotThere;

#[async_trait]
impl Flaw for PublishesToWhatIsNotThere {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        bus.ensure_topics(std::slice::from_ref(topic)).await?;
        bus.publish(topic, record).await
    }
}

#[derive(Debug)]
struct BlamesTheBroker;

#[async_trait]
impl Flaw for BlamesTheBroker {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        let published = bus.publish(topic, record).await;
        published.map_err(|err| Error::Unavailable(err.into()))
    }
}

#[derive(Debug)]
struct ConsumesWhatIsNotThere;

#[async_trait]
impl Flaw for ConsumesWhatIsNotThere {
    async fn consume(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        group: &str,
    ) -> Result<Box<dyn Consumer>, Error> {
        bus.ensure_topics(std::slice::from_ref(topic)).await?;
        bus.consume(topic, group).await
    }
}

#[derive(Debug)]
struct ReadsWhatIsNotThere;

#[async_trait]
impl Flaw for ReadsWhatIsNotThere {
    async fn read(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        from: Offset,
    ) -> Result<Box<dyn Consumer>, Error> {
        bus.ensure_topics(std::slice::from_ref(topic)).await?;
        bus.read(topic, from).await
    }
}

#[derive(Debug)]
struct EndsWhatIsNotThere;

#[async_trait]
impl Flaw for EndsWhatIsNotThere {
    async fn end(&self, bus: &MemoryBus, topic: &TopicName) -> Result<Offset, Error> {
        Ok(bus.end(topic).await.unwrap_or(Offset(0)))
    }
}

#[derive(Debug)]
struct RefusesNoTopics;

#[async_trait]
impl Flaw for RefusesNoTopics {
    async fn ensure_topics(&self, bus: &MemoryBus, topics: &[TopicName]) -> Result<(), Error> {
        if topics.is_empty() {
            return Err(Error::Unavailable("a request without topics".into()));
        }
        bus.ensure_topics(topics).await
    }
}

#[derive(Debug)]
struct RefusesTopicsThatAreThere;

#[async_trait]
impl Flaw for RefusesTopicsThatAreThere {
    async fn ensure_topics(&self, bus: &MemoryBus, topics: &[TopicName]) -> Result<(), Error> {
        for topic in topics {
            if bus.end(topic).await.is_ok() {
                return Err(Error::Unavailable("it is there already".into()));
            }
        }
        bus.ensure_topics(topics).await
    }
}

#[derive(Debug)]
struct EmptiesTopicsThatAreThere;

#[async_trait]
impl Flaw for EmptiesTopicsThatAreThere {
    async fn ensure_topics(&self, bus: &MemoryBus, topics: &[TopicName]) -> Result<(), Error> {
        for topic in topics {
            bus.lose_records(topic.clone());
        }
        bus.ensure_topics(topics).await
    }
}

#[derive(Debug)]
struct StopsAtATopicThatIsThere;

#[async_trait]
impl Flaw for StopsAtATopicThatIsThere {
    async fn ensure_topics(&self, bus: &MemoryBus, topics: &[TopicName]) -> Result<(), Error> {
        for topic in topics {
            if bus.end(topic).await.is_ok() {
                return Ok(());
            }
            bus.ensure_topics(std::slice::from_ref(topic)).await?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct EndsAtTheLastRecord;

#[async_trait]
impl Flaw for EndsAtTheLastRecord {
    async fn end(&self, bus: &MemoryBus, topic: &TopicName) -> Result<Offset, Error> {
        let Offset(end) = bus.end(topic).await?;
        Ok(Offset((end - 1).max(0)))
    }
}

/// As with a partition for each key.
#[derive(Debug, Default)]
pub(super) struct NumbersPerKey {
    next: Mutex<BTreeMap<(TopicName, Option<String>), i64>>,
}

#[async_trait]
impl Flaw for NumbersPerKey {
    async fn publish(
        &self,
        bus: &MemoryBus,
        topic: &TopicName,
        record: Record,
    ) -> Result<Offset, Error> {
        let key = record.key.clone();
        bus.publish(topic, record).await?;
        let mut next = self.next.lock().unwrap();
        let next = next.entry((topic.clone(), key)).or_default();
        *next += 1;
        Ok(Offset(*next - 1))
    }
}
