//! Names of applications.

use std::str::FromStr;

use super::{Error, text_type};

const RULE: &str = "use 1-40 characters of a-z, 0-9 and -, start with a letter, end with a letter \
                    or digit, no two - in a row";

const RESERVED: &[&str] = &[
    "platform",
    "admin",
    "api",
    "www",
    "default",
    "nginx",
    "registry",
    "kafka",
    "zookeeper",
    "lifecycle",
    "alloc",
    "captain",
    "localhost",
    "system",
    "root",
    "new",
    "all",
    "app-manager",
    "deployment-manager",
    "node-manager",
    "load-balancer",
    "node-agent",
    "lifecycle-manager",
    "platform-initializer",
    "monitoring",
    "bootstrapper",
    // What some file systems take for devices.
    "con",
    "nul",
];

/// The name of an application: `^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`, no `--`, not reserved.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

text_type!(AppName);

impl FromStr for AppName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes = text.as_bytes();
        let allowed =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let kept = (1..=40).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.last() != Some(&b'-')
            && !text.contains("--");
        if !kept {
            return Err(Error::Invalid { rule: RULE });
        }
        if RESERVED.contains(&text) {
            return Err(Error::Reserved { name: text.to_owned() });
        }
        Ok(AppName(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_accepted() {
        for text in ["a", "shop", "shop-2", "a1", &"a".repeat(40)] {
            assert!(text.parse::<AppName>().is_ok(), "{text}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "a".repeat(41);
        for text in [
            "",
            "-a",
            "a-",
            "a--b",
            "1a",
            "A",
            "a_b",
            "a.b",
            "a/b",
            "..",
            "a;b",
            "$(id)",
            "a\n",
            "a\0",
            "ａpp",
            "аpp",
            "İ",
            &long,
            "--privileged",
            "x{}",
            "a b",
        ] {
            assert_eq!(text.parse::<AppName>(), Err(Error::Invalid { rule: RULE }), "{text:?}");
        }
    }

    #[test]
    fn the_platforms_own_names_are_reserved() {
        for text in ["kafka", "nul", "con", "deployment-manager"] {
            let reserved = Error::Reserved { name: text.to_owned() };
            assert_eq!(text.parse::<AppName>(), Err(reserved));
        }
    }
}
