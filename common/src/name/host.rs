//! Host names: what visitors of an app may type besides its label.

use std::str::FromStr;

use super::{Error, text_type};

const RULE: &str = "a host name is two or more labels of a-z, 0-9 and inner hyphens with dots between, at most 253 \
                    characters, and no address";

/// A whole host name in lower case, such as `shop.example.org`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl FromStr for HostName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let top = text.rsplit('.').next().unwrap_or_default();
        let is_name = text.len() <= 253
            && text.contains('.')
            && text.split('.').all(is_label)
            && !top.bytes().all(|byte| byte.is_ascii_digit());
        if is_name { Ok(HostName(text.to_owned())) } else { Err(Error::Invalid { rule: RULE }) }
    }
}

text_type!(HostName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_internet_are_host_names() {
        for good in ["shop.example.org", "a.b", "xn--bcher-kva.example", "1.example.org"] {
            assert_eq!(good.parse::<HostName>().unwrap().as_str(), good);
        }
        let label = "a".repeat(63);
        assert!(format!("{label}.{label}.{label}.{}", "a".repeat(61)).parse::<HostName>().is_ok());
    }

    #[test]
    fn addresses_single_labels_and_what_no_resolver_takes_are_refused() {
        for bad in [
            "",
            "shop",
            "192.0.2.1",
            "Shop.example.org",
            "shop..example.org",
            "shop.example.org.",
            ".example.org",
            "-a.example.org",
            "a-.example.org",
            "a_b.example.org",
            "*.example.org",
            "a.example.org:80",
            "a/../b.example.org",
            "bücher.example",
            "a.example.org\n",
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
        assert!(format!("{}.example.org", "a".repeat(64)).parse::<HostName>().is_err());
        assert!(vec!["abc"; 64].join(".").parse::<HostName>().is_err());
    }
}
