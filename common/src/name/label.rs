//! Host labels: how an instance is called in a host name.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::digest::hex;

/// One label of a host name: at most 63 bytes of a-z, 0-9 and `-`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct HostLabel(String);

impl HostLabel {
    /// `_` becomes `-`; what is longer than 63 bytes keeps its first 54 and ends in a hash of the whole.
    pub(super) fn of(name: &str) -> Self {
        let label = name.replace('_', "-").to_ascii_lowercase();
        if label.len() <= 63 {
            return HostLabel(label);
        }
        let hash = Sha256::digest(name.as_bytes());
        let tail = hex(hash.get(..4).unwrap_or_default());
        let head: String = label.chars().take(54).collect();
        HostLabel(format!("{}-{tail}", head.trim_end_matches('-')))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_shortened_and_stays_distinct() {
        let one =
            HostLabel::of(&format!("{}_6ba7b810-9dad-11d1-80b4-00c04fd430c8", "a".repeat(40)));
        let two =
            HostLabel::of(&format!("{}_6ba7b810-9dad-11d1-80b4-00c04fd430c9", "a".repeat(40)));
        assert!(one.as_str().len() <= 63);
        assert_ne!(one, two);
    }

    #[test]
    fn an_underscore_becomes_a_hyphen() {
        assert_eq!(HostLabel::of("shop_1").as_str(), "shop-1");
    }
}
