//! Names of shares.

use std::str::FromStr;

use super::{Error, part, text_type};

/// What a share is called on every machine of a platform. One host label.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ShareName(String);

text_type!(ShareName);

impl FromStr for ShareName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if part::is_label(text) {
            Ok(ShareName(text.to_owned()))
        } else {
            Err(Error::Invalid { rule: part::RULE })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_nowhere_as_the_name_of_a_file() {
        assert!("code-2".parse::<ShareName>().is_ok());
        for text in ["", ".", "..", "a/b", "a.b", "-a", "A"] {
            assert!(text.parse::<ShareName>().is_err(), "{text}");
        }
    }
}
