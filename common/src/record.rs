//! Stored forms of the records that more than one service reads, with where they stand in the store.
//!
//! Each kind has one writer (`design.md` 6). Readers ignore fields they do not know; every record says
//! its `schema`. Owns the forms and the paths; never reads or writes.

pub mod change;
pub mod course;
pub mod deployment;
pub mod epoch;
pub mod instance;
pub mod kept;
pub mod leader;
pub mod machine;
pub mod node;
pub mod operation;
pub mod owed;
pub mod path;
pub mod platform;
pub mod release;
pub mod restored;
pub mod route;
pub mod scale;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A stored value that is not the record it should be.
#[derive(Debug, thiserror::Error)]
#[error("the record is not readable")]
pub struct Unreadable(#[from] serde_json::Error);

/// The stored form of a record.
pub fn encode<T: Serialize>(record: &T) -> Bytes {
    Bytes::from(
        serde_json::to_vec(record).expect("records have string keys and no failing serializers"),
    )
}

/// Reads a record back.
pub fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, Unreadable> {
    Ok(serde_json::from_slice(value)?)
}
