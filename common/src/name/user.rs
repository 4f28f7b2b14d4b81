//! Names of people.

use std::str::FromStr;

use super::{Error, text_type};

const RULE: &str = "use 2-40 characters of a-z, 0-9, . _ and -, start with a letter";

/// The name a person signs in with.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

text_type!(UserName);

impl FromStr for UserName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let allowed = |byte: &u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        };
        let kept = (2..=40).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && bytes.first().is_some_and(u8::is_ascii_lowercase);
        if kept { Ok(UserName(text.to_owned())) } else { Err(Error::Invalid { rule: RULE }) }
    }
}
