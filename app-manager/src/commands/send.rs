//! Sending any message by hand, as any Kafka client could.

use std::time::Duration;

use bytes::Bytes;
use common::message::{Envelope, header};
use common::port::bus::{self, Header, Offset, Record};
use tokio::time::timeout;

use super::Error;
use crate::context::Context;

const WITHIN: Duration = Duration::from_secs(10);

/// Publishes an envelope; returns where it stands in its topic.
pub(crate) async fn send(
    context: &Context,
    envelope: &Envelope,
    key: Option<String>,
) -> Result<Offset, Error> {
    let message_id = context.ports.entropy.uuid().to_string();
    let header = Header { name: header::MESSAGE_ID.to_owned(), value: Bytes::from(message_id) };
    let record = Record { key, headers: vec![header], payload: envelope.encode() };
    let topic = envelope.to_topic.into();
    let sent = timeout(WITHIN, context.ports.bus.publish(&topic, record)).await;
    let late = |_| Error::Bus(bus::Error::Unavailable("the bus does not answer".into()));
    sent.map_err(late)?.map_err(Error::Bus)
}
