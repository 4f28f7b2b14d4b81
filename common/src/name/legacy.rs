//! Names as document 001's programs chose them.

use std::str::FromStr;

use super::{Error, HostLabel, text_type};

const RULE: &str = "use 1-80 characters of letters, digits, _ and -, start with a letter";

/// `[A-Za-z][A-Za-z0-9_-]{0,79}`: accepted in document 001's messages and load-balancer routes only.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct LegacyName(String);

text_type!(LegacyName);

impl LegacyName {
    /// The first label of a host name for this route.
    pub fn host_label(&self) -> HostLabel {
        HostLabel::of(&self.0)
    }
}

impl From<super::InstanceName> for LegacyName {
    fn from(instance: super::InstanceName) -> Self {
        // Every instance name keeps the wider rule: at most 40 + 1 + 36 bytes of a-z, 0-9, - and _.
        LegacyName(instance.into())
    }
}

impl FromStr for LegacyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let kept = (1..=80).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && bytes.first().is_some_and(u8::is_ascii_alphabetic);
        if kept { Ok(LegacyName(text.to_owned())) } else { Err(Error::Invalid { rule: RULE }) }
    }
}
