//! By way of Kafka itself.

use adapters::kafka::{KafkaBus, KafkaSettings};
use bytes::Bytes;
use chassis::system::SystemEntropy;
use common::id::RequestId;
use common::message::{Envelope, header};
use common::port::bus::{Error, Header, Offset, Record};
use common::port::{Bus as _, Entropy as _};
use common::topic::{Topic, TopicName};

use super::{Begin, Line};
use crate::failure::Failure;
use crate::output::Output;

fn connect(brokers: &str) -> anyhow::Result<KafkaBus> {
    let connected = KafkaBus::connect(&KafkaSettings::new(brokers, "avishkar-cli"));
    connected.map_err(|err| failed(err, brokers))
}

fn failed(err: Error, brokers: &str) -> anyhow::Error {
    match err {
        Error::Unavailable(_) => {
            Failure::BusUnreachable { brokers: brokers.to_owned(), source: err }.into()
        }
        Error::TooLarge { .. } | Error::UnknownTopic { .. } => err.into(),
    }
}

pub(super) async fn send(
    topic: Topic,
    msg: String,
    brokers: &str,
    output: Output,
) -> anyhow::Result<()> {
    let request_id = RequestId(SystemEntropy.uuid());
    let envelope = Envelope { to_topic: topic, from_topic: Topic::FirstTopic, request_id, msg };
    let message_id = Header {
        name: header::MESSAGE_ID.to_owned(),
        value: Bytes::from(SystemEntropy.uuid().to_string()),
    };
    let record = Record { key: None, headers: vec![message_id], payload: envelope.encode() };
    let published = connect(brokers)?.publish(&topic.into(), record).await;
    published.map_err(|err| failed(err, brokers).context("the message was not sent"))?;
    let said = serde_json::json!({ "topic": topic.as_str(), "request_id": request_id });
    output.answer(&said, &format!("sent to {topic} as request {request_id}"))
}

pub(super) async fn tail(
    topic: &TopicName,
    from: Begin,
    brokers: &str,
    output: Output,
) -> anyhow::Result<()> {
    let bus = connect(brokers)?;
    let lost = |err| failed(err, brokers);
    let from = match from {
        Begin::Start => Offset(0),
        Begin::End => bus.end(topic).await.map_err(lost)?,
    };
    let mut consumer = bus.read(topic, from).await.map_err(lost)?;
    loop {
        let delivery = consumer.next().await.map_err(lost)?;
        let record = &delivery.record;
        let header = |name| record.header(name).map(String::from_utf8_lossy);
        let line = Line {
            offset: delivery.offset,
            at: delivery.timestamp,
            key: record.key.as_deref().map(Into::into),
            payload: String::from_utf8_lossy(&record.payload),
            details: header(header::DETAILS),
            reason: header(header::REASON),
        };
        line.show(output)?;
    }
}
