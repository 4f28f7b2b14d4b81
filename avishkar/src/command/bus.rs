//! `avishkar bus send|tail`: messages by hand, as any Kafka client could.

use adapters::kafka::{KafkaBus, KafkaSettings};
use bytes::Bytes;
use chassis::system::SystemEntropy;
use common::id::RequestId;
use common::message::{Envelope, header};
use common::port::bus::{Delivery, Error, Header, Offset, Record};
use common::port::{Bus as _, Entropy as _};
use common::topic::Topic;

use crate::cli::Bus;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) async fn run(args: Bus, output: Output) -> anyhow::Result<()> {
    match args {
        Bus::Send { topic, msg, brokers } => send(topic, msg, &brokers, output).await,
        Bus::Tail { topic, from_start, brokers } => tail(topic, from_start, &brokers, output).await,
    }
}

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

async fn send(topic: Topic, msg: String, brokers: &str, output: Output) -> anyhow::Result<()> {
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

async fn tail(topic: Topic, from_start: bool, brokers: &str, output: Output) -> anyhow::Result<()> {
    let bus = connect(brokers)?;
    let lost = |err| failed(err, brokers);
    let from = if from_start { Offset(0) } else { bus.end(&topic.into()).await.map_err(lost)? };
    let mut consumer = bus.read(&topic.into(), from).await.map_err(lost)?;
    loop {
        let delivery = consumer.next().await.map_err(lost)?;
        Output::line(&line(&delivery, output.is_json()))?;
    }
}

fn line(delivery: &Delivery, json: bool) -> String {
    let payload = String::from_utf8_lossy(&delivery.record.payload);
    let details =
        delivery.record.header(header::DETAILS).map(|value| String::from_utf8_lossy(value));
    if json {
        let said = serde_json::json!({
            "offset": delivery.offset, "at": delivery.timestamp.to_string(),
            "payload": payload, "details": details,
        });
        return said.to_string();
    }
    let shown: String = payload.chars().filter(|c| !c.is_control()).collect();
    format!("{} {shown}", delivery.timestamp)
}
