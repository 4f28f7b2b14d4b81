//! A record as bytes: whether it has a key, the key, the headers, and the payload as the rest. Every
//! length is a little-endian `u32`.

use bytes::Bytes;
use common::port::bus::{Header, Record};

const WITHOUT_KEY: u8 = 0;
const WITH_KEY: u8 = 1;

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let headers = record.headers.iter().map(|header| header.name.len() + header.value.len() + 8);
    let key = record.key.as_deref().unwrap_or_default();
    let size = 9 + key.len() + headers.sum::<usize>() + record.payload.len();
    let mut bytes = Vec::with_capacity(size);
    if record.key.is_some() {
        bytes.push(WITH_KEY);
        put(&mut bytes, key.as_bytes());
    } else {
        bytes.push(WITHOUT_KEY);
    }
    put_length(&mut bytes, record.headers.len());
    for header in &record.headers {
        put(&mut bytes, header.name.as_bytes());
        put(&mut bytes, &header.value);
    }
    bytes.extend_from_slice(&record.payload);
    bytes
}

/// None if these are no bytes of a record.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Record> {
    let key = match take(&mut bytes, 1)? {
        [WITH_KEY] => Some(take_text(&mut bytes)?),
        [WITHOUT_KEY] => None,
        _ => return None,
    };
    let mut headers = Vec::new();
    for _ in 0..take_length(&mut bytes)? {
        let name = take_text(&mut bytes)?;
        let value = Bytes::copy_from_slice(take_long(&mut bytes)?);
        headers.push(Header { name, value });
    }
    Some(Record { key, headers, payload: Bytes::copy_from_slice(bytes) })
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_length(bytes, part.len());
    bytes.extend_from_slice(part);
}

/// A length that does not fit makes the record larger than any that is taken.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let length = take(bytes, 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(length)).ok()
}

fn take_long<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(bytes)?;
    take(bytes, length)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_long(bytes)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        let header = (".{0,8}", bytes()).prop_map(|(name, value)| Header { name, value });
        let headers = proptest::collection::vec(header, 0..4);
        (proptest::option::of(".{0,8}"), headers, bytes())
            .prop_map(|(key, headers, payload)| Record { key, headers, payload })
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(record in records()) {
            prop_assert_eq!(decode(&encode(&record)), Some(record));
        }

        #[test]
        fn bytes_of_nothing_are_refused_or_read(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            record in records(),
            cut in 0..60_usize,
        ) {
            if let Some(read) = decode(&bytes) {
                prop_assert_eq!(encode(&read), bytes);
            }
            let whole = encode(&record);
            if let Some(part) = whole.get(..cut.min(whole.len())) {
                decode(part);
            }
        }
    }
}
