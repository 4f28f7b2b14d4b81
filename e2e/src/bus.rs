//! The bus as any Kafka client has it: inject messages, read answers.

use std::time::Duration;

use adapters::kafka::{KafkaBus, KafkaSettings};
use anyhow::Context as _;
use bytes::Bytes;
use common::id::RequestId;
use common::port::Bus as _;
use common::port::bus::{Delivery, Offset, Record};
use common::topic::{Topic, TopicName};
use serde_json::Value;
use uuid::Uuid;

/// How long the next record of a topic that has one may take.
const NEXT_WITHIN: Duration = Duration::from_secs(10);

/// A client of a platform's Kafka.
#[derive(Debug)]
pub struct Injector {
    bus: KafkaBus,
}

/// An id that no run before has used: the platform remembers ids for days.
#[expect(clippy::disallowed_methods, reason = "a test is no part of what is simulated")]
pub fn new_request() -> RequestId {
    RequestId(Uuid::now_v7())
}

/// What a test sends, as the original programs would write it.
pub fn envelope(topic: Topic, request: RequestId, msg: &str) -> String {
    let body = serde_json::json!({
        "to_topic": topic.as_str(), "from_topic": "first_topic", "request_id": request, "msg": msg,
    });
    body.to_string()
}

impl Injector {
    /// The cluster's.
    pub fn connect() -> anyhow::Result<Self> {
        Self::connect_to("127.0.0.1:9092")
    }

    /// Any other's: `host:port` of each broker, separated by commas.
    pub fn connect_to(brokers: &str) -> anyhow::Result<Self> {
        let settings = KafkaSettings::new(brokers, "avishkar-e2e");
        Ok(Injector { bus: KafkaBus::connect(&settings).context("Kafka cannot be used")? })
    }

    /// Sends any bytes: what is wrong with them is for the platform to find.
    pub async fn send_raw(&self, topic: Topic, payload: &[u8]) -> anyhow::Result<()> {
        let payload = Bytes::copy_from_slice(payload);
        let record = Record { key: None, headers: Vec::new(), payload };
        self.bus.publish(&topic.into(), record).await?;
        Ok(())
    }

    pub async fn send(&self, topic: Topic, request: RequestId, msg: &str) -> anyhow::Result<()> {
        self.send_raw(topic, envelope(topic, request, msg).as_bytes()).await
    }

    /// Where the next record of a topic will stand: read from here what a test causes.
    pub async fn end(&self, topic: &TopicName) -> anyhow::Result<Offset> {
        Ok(self.bus.end(topic).await?)
    }

    /// All records of a topic from `from` on, up to now.
    pub async fn all(&self, topic: &TopicName, from: Offset) -> anyhow::Result<Vec<Delivery>> {
        let end = self.end(topic).await?;
        let mut all = Vec::new();
        if from >= end {
            return Ok(all);
        }
        let mut consumer = self.bus.read(topic, from).await?;
        while all.last().is_none_or(|last: &Delivery| last.offset.next() < end) {
            let next = tokio::time::timeout(NEXT_WITHIN, consumer.next()).await;
            all.push(next.with_context(|| format!("{topic} does not go on"))??);
        }
        Ok(all)
    }

    /// The first record from `from` on that `pick` takes.
    pub async fn find<T>(
        &self,
        topic: &TopicName,
        from: Offset,
        within: Duration,
        pick: impl Fn(&Delivery, &Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut consumer = self.bus.read(topic, from).await?;
        let search = async {
            loop {
                let delivery = consumer.next().await?;
                let body = serde_json::from_slice(&delivery.record.payload).unwrap_or_default();
                if let Some(found) = pick(&delivery, &body) {
                    return anyhow::Ok(found);
                }
            }
        };
        let found = tokio::time::timeout(within, search).await;
        found.with_context(|| format!("nothing such came on {topic} within {within:?}"))?
    }

    /// The text of the first answer to a request on `first_topic` from `from` on.
    pub async fn answer(
        &self,
        request: RequestId,
        from: Offset,
        within: Duration,
    ) -> anyhow::Result<String> {
        let id = request.to_string();
        let pick = |_: &Delivery, body: &Value| {
            let msg = body["msg"].as_str()?.to_owned();
            (body["request_id"] == id.as_str()).then_some(msg)
        };
        self.find(&Topic::FirstTopic.into(), from, within, pick).await
    }

    /// The reason with which a record stands among the dead letters of its topic from `from` on.
    pub async fn dead_letter(
        &self,
        topic: Topic,
        from: Offset,
        payload: &[u8],
        within: Duration,
    ) -> anyhow::Result<String> {
        let pick = |delivery: &Delivery, _: &Value| {
            let reason = String::from_utf8_lossy(delivery.record.header("reason")?).into_owned();
            (delivery.record.payload.as_ref() == payload).then_some(reason)
        };
        self.find(&topic.dead_letter(), from, within, pick).await
    }
}
