//! Where Kafka is, and how its library is set up.

use std::time::Duration;

use common::topic::TopicName;
use rdkafka::ClientConfig;

/// Records that wait for the broker, at most: what is published is small and awaited one by one.
const QUEUED_RECORDS: &str = "10000";
const QUEUED_KBYTES: &str = "65536";
/// What one consumer reads ahead, at most.
const READ_AHEAD_RECORDS: &str = "1000";
const READ_AHEAD_KBYTES: &str = "8192";
/// The largest request: a record of the largest size and the frame around it.
const LARGEST_REQUEST: &str = "1000000";

/// Where Kafka is, and how long it is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port` of some brokers, separated by commas.
    pub brokers: String,
    /// Stands before the names of all topics and groups; empty but in tests.
    pub topic_prefix: String,
    /// How the brokers' logs and quotas name this client.
    pub client_id: String,
    /// How long one call may take.
    pub timeout: Duration,
}

impl KafkaSettings {
    /// The settings of the platform: no prefix, calls within 10 s.
    pub fn new(brokers: impl Into<String>, client_id: impl Into<String>) -> Self {
        KafkaSettings {
            brokers: brokers.into(),
            topic_prefix: String::new(),
            client_id: client_id.into(),
            timeout: Duration::from_secs(10),
        }
    }

    /// What the broker calls the topic.
    pub(super) fn topic(&self, topic: &TopicName) -> String {
        format!("{}{topic}", self.topic_prefix)
    }

    /// What the broker calls the group.
    pub(super) fn group(&self, group: &str) -> String {
        format!("{}{group}", self.topic_prefix)
    }

    /// What every client of the library has in common.
    pub(super) fn client(&self) -> ClientConfig {
        let timeout = self.timeout.as_millis().to_string();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("socket.timeout.ms", &timeout)
            .set("socket.connection.setup.timeout.ms", &timeout)
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.ms", "50")
            .set("enable.metrics.push", "false");
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("delivery.timeout.ms", self.timeout.as_millis().to_string())
            .set("message.max.bytes", LARGEST_REQUEST)
            .set("queue.buffering.max.messages", QUEUED_RECORDS)
            .set("queue.buffering.max.kbytes", QUEUED_KBYTES);
        config
    }

    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("allow.auto.create.topics", "false")
            .set("auto.offset.reset", "earliest")
            // Not for membership, which there is none of: a commit waits so long for its coordinator.
            .set("session.timeout.ms", self.timeout.as_millis().to_string())
            .set("topic.metadata.propagation.max.ms", "2000")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.min.messages", READ_AHEAD_RECORDS)
            .set("queued.max.messages.kbytes", READ_AHEAD_KBYTES);
        config
    }
}
