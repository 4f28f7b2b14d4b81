//! Publishing what a record owes the world.

use bytes::Bytes;
use common::message::header;
use common::port::Bus;
use common::port::bus::{self, Header, Record};
use common::record::owed::Owed;

/// Publishes owed messages in order, each once per call. The caller clears them from the record
/// by compare-and-set afterwards; a crash in between repeats them under the same message ids.
pub async fn publish(bus: &dyn Bus, owed: &[Owed]) -> Result<(), bus::Error> {
    for message in owed {
        bus.publish(&message.envelope.to_topic.into(), record(message)).await?;
    }
    Ok(())
}

fn record(message: &Owed) -> Record {
    let mut headers = vec![Header {
        name: header::MESSAGE_ID.to_owned(),
        value: Bytes::from(message.message_id.to_string()),
    }];
    if let Some(details) = &message.details {
        let value = Bytes::copy_from_slice(details.as_bytes());
        headers.push(Header { name: header::DETAILS.to_owned(), value });
    }
    Record { key: Some(message.key.clone()), headers, payload: message.envelope.encode() }
}
