//! Names of nodes.

use std::str::FromStr;

use super::{Error, text_type};

const RULE: &str = "use 1-63 characters of a-z, 0-9 and -, start with a letter";

/// The name of an enrolled machine: one host label.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

text_type!(NodeName);

impl FromStr for NodeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let allowed =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let kept = (1..=63).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() != Some(&b'-');
        if kept { Ok(NodeName(text.to_owned())) } else { Err(Error::Invalid { rule: RULE }) }
    }
}
