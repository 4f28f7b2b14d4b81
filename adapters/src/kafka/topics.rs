//! Which topics there are, and making those that are missing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::port::bus::Error;
use common::topic::TopicName;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use tokio::time::{Instant, sleep, timeout};

use super::context::Context;
use super::deadline::GRACE;
use super::producer::Publisher;
use super::settings::KafkaSettings;
use super::{deadline, failure};

/// Seven days: less than the platform remembers requests.
const RETENTION_MS: &str = "604800000";
/// Kafka removes whole segments only: a day's worth at a time, so that a record stays eight days at most.
const SEGMENT_MS: &str = "86400000";
/// How many copies there are of a topic is for the brokers to say.
const BROKERS_DEFAULT: TopicReplication<'_> = TopicReplication::Fixed(-1);
/// How often a new topic is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The topics that were seen; a broker is asked about those that were not.
pub(super) struct Topics {
    settings: KafkaSettings,
    publisher: Arc<Publisher>,
    /// By the broker's names.
    seen: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Topics {
    pub(super) fn new(settings: KafkaSettings, publisher: Arc<Publisher>) -> Self {
        Topics { settings, publisher, seen: Mutex::default() }
    }

    /// Fails unless the topic exists. The broker must not be asked by publishing: it may be set up
    /// to make what it does not know.
    pub(super) async fn demand(&self, topic: &TopicName) -> Result<(), Error> {
        let name = self.settings.topic(topic);
        if self.lock().contains(&name) || self.look().await?.contains(&name) {
            return Ok(());
        }
        Err(Error::UnknownTopic { topic: topic.clone() })
    }

    pub(super) fn forget(&self, topic: &TopicName) {
        self.lock().remove(&self.settings.topic(topic));
    }

    /// Makes the topics that are missing, and returns once each has a leader.
    pub(super) async fn ensure(&self, topics: &[TopicName]) -> Result<(), Error> {
        let wanted: BTreeSet<String> =
            topics.iter().map(|topic| self.settings.topic(topic)).collect();
        let missing = wanted.difference(&self.look().await?).cloned().collect::<Vec<_>>();
        if missing.is_empty() {
            return Ok(());
        }
        self.make(&missing).await?;
        let deadline = Instant::now() + self.settings.timeout;
        while !wanted.is_subset(&self.look().await?) {
            if Instant::now() > deadline {
                return Err(Error::Unavailable("the new topics get no leader".into()));
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Asks for the names of all topics that have a leader: a question about one could make it.
    async fn look(&self) -> Result<BTreeSet<String>, Error> {
        let (producer, within) = (self.publisher.current(), self.settings.timeout);
        let asking = move || producer.client().fetch_metadata(None, within);
        let metadata = deadline::blocking(within, asking).await?.map_err(failure::unavailable)?;
        let led = metadata.topics().iter().filter(|topic| {
            topic.error().is_none()
                && !topic.partitions().is_empty()
                && topic.partitions().iter().all(|partition| partition.leader() >= 0)
        });
        let names: BTreeSet<String> = led.map(|topic| topic.name().to_owned()).collect();
        self.lock().clone_from(&names);
        Ok(names)
    }

    async fn make(&self, names: &[String]) -> Result<(), Error> {
        // Nobody empties the queue of an admin client's log: it does not live longer than its request.
        let admin: AdminClient<Context> =
            self.settings.client().create_with_context(Context).map_err(failure::unavailable)?;
        let within = self.settings.timeout;
        let options = AdminOptions::new().request_timeout(Some(within));
        let topics: Vec<NewTopic<'_>> = names.iter().map(|name| new_topic(name)).collect();
        match timeout(within + GRACE, admin.create_topics(&topics, &options)).await {
            Ok(made) => judge(made),
            Err(late) => Err(Error::Unavailable(late.into())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time of a record is the broker's: a sender's clock may be wrong.
fn new_topic(name: &str) -> NewTopic<'_> {
    NewTopic::new(name, 1, BROKERS_DEFAULT)
        .set("cleanup.policy", "delete")
        .set("retention.ms", RETENTION_MS)
        .set("segment.ms", SEGMENT_MS)
        .set("message.timestamp.type", "LogAppendTime")
}

fn judge(made: KafkaResult<Vec<TopicResult>>) -> Result<(), Error> {
    for result in made.map_err(failure::unavailable)? {
        match result {
            // Somebody else made it at the same time.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(Error::Unavailable(format!("{name} was not made: {code}").into()));
            }
        }
    }
    Ok(())
}
