//! Names of the platform's own parts.

use std::str::FromStr;

use super::{Error, text_type};

pub(super) const RULE: &str =
    "use 1-40 characters of a-z, 0-9 and -, start with a letter, end with a letter or digit";

/// A part of the platform on one node: a service, a base service or the edge. One host label.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct PartName(String);

text_type!(PartName);

impl FromStr for PartName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_label(text) {
            Ok(PartName(text.to_owned()))
        } else {
            Err(Error::Invalid { rule: RULE })
        }
    }
}

pub(super) fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    (1..=40).contains(&bytes.len())
        && bytes.iter().all(allowed)
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last() != Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_labels_are_taken() {
        for text in ["kafka", "app-manager", "zookeeper-2"] {
            assert!(text.parse::<PartName>().is_ok(), "{text}");
        }
        for text in ["", "-a", "a-", "A", "a_b", "../a", "a/b", "1a", &"a".repeat(41)] {
            assert_eq!(text.parse::<PartName>(), Err(Error::Invalid { rule: RULE }), "{text}");
        }
    }
}
