//! Keys as people and files write them: a machine's host key by its fingerprint, a user's public key whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is none of the keys that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    #[error("a fingerprint is SHA256: and 43 characters of base64, as `ssh-keygen -lf` shows it")]
    Fingerprint,
    #[error("a host key is its algorithm and its fingerprint: ssh-ed25519 SHA256:...")]
    HostKey,
    #[error("the algorithm is none of ssh-ed25519, ecdsa-sha2-nistp256, -384, -521 and ssh-rsa")]
    Algorithm,
    #[error("a public key is its algorithm, its base64 and a comment, in one line")]
    PublicKey,
}

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyAlgorithm {
    Ed25519,
    Ecdsa256,
    Ecdsa384,
    Ecdsa521,
    Rsa,
}

impl KeyAlgorithm {
    /// Those that are asked for first come first.
    pub const ALL: [KeyAlgorithm; 5] = [
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Ecdsa256,
        KeyAlgorithm::Ecdsa384,
        KeyAlgorithm::Ecdsa521,
        KeyAlgorithm::Rsa,
    ];

    /// Its name in files of keys.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyAlgorithm::Ed25519 => "ssh-ed25519",
            KeyAlgorithm::Ecdsa256 => "ecdsa-sha2-nistp256",
            KeyAlgorithm::Ecdsa384 => "ecdsa-sha2-nistp384",
            KeyAlgorithm::Ecdsa521 => "ecdsa-sha2-nistp521",
            KeyAlgorithm::Rsa => "ssh-rsa",
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut all = KeyAlgorithm::ALL.into_iter();
        all.find(|algorithm| algorithm.as_str() == text).ok_or(NotAKey::Algorithm)
    }
}

/// The SHA-256 of a key, `SHA256:` and base64 without padding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

const FINGERPRINT: &str = "SHA256:";

impl FromStr for Fingerprint {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let hash = text.strip_prefix(FINGERPRINT).ok_or(NotAKey::Fingerprint)?;
        if hash.len() == 43 && hash.bytes().all(is_base64) {
            Ok(Fingerprint(text.to_owned()))
        } else {
            Err(NotAKey::Fingerprint)
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key by which a machine proves that it is itself. Its algorithm is part of the pin: a machine has several keys,
/// and shows the one that it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey {
    pub algorithm: KeyAlgorithm,
    pub fingerprint: Fingerprint,
}

impl FromStr for HostKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (algorithm, fingerprint) = text.split_once(' ').ok_or(NotAKey::HostKey)?;
        Ok(HostKey { algorithm: algorithm.parse()?, fingerprint: fingerprint.parse()? })
    }
}

impl TryFrom<String> for HostKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<HostKey> for String {
    fn from(key: HostKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm.as_str(), self.fingerprint)
    }
}

/// A key that may sign in, as a line of `authorized_keys` without options.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey {
    line: String,
}

impl PublicKey {
    /// The whole line, without its end.
    pub fn as_line(&self) -> &str {
        &self.line
    }

    /// The key itself: its base64.
    pub fn base64(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// Whether a file of authorized keys lets this one in. A line with options may restrict it, so it does not count.
    pub fn is_in(&self, authorized_keys: &str) -> bool {
        let lines = authorized_keys.lines().map(|line| line.split_whitespace().take(2));
        let (algorithm, key) = (self.line.split(' ').next(), Some(self.base64()));
        lines.into_iter().any(|mut words| words.next() == algorithm && words.next() == key)
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let line = text.trim_end();
        let mut words = line.splitn(3, ' ');
        let algorithm = words.next().unwrap_or_default();
        let key = words.next().unwrap_or_default();
        algorithm.parse::<KeyAlgorithm>()?;
        let is_key = key.len() >= 64 && key.trim_end_matches('=').bytes().all(is_base64);
        if is_key && !line.chars().any(char::is_control) {
            Ok(PublicKey { line: line.to_owned() })
        } else {
            Err(NotAKey::PublicKey)
        }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.line
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJ1FpNGgxZqOcPDjJcWPmBWWFjT9h0Qk0YzXmU7f1aBc";

    #[test]
    fn a_host_key_is_read_back_with_its_algorithm() {
        let text = format!("ssh-ed25519 {HASH}");
        let key: HostKey = text.parse().unwrap();
        assert_eq!((key.algorithm, key.to_string()), (KeyAlgorithm::Ed25519, text));
        assert_eq!(HASH.parse::<HostKey>(), Err(NotAKey::HostKey));
        assert_eq!(format!("ssh-dss {HASH}").parse::<HostKey>(), Err(NotAKey::Algorithm));
        for hash in ["", "SHA256:", "MD5:00", &HASH[..49], &format!("{HASH}=")] {
            assert_eq!(hash.parse::<Fingerprint>(), Err(NotAKey::Fingerprint), "{hash}");
        }
    }

    #[test]
    fn a_public_key_is_one_line_and_nothing_else() {
        let line = format!("ssh-ed25519 {KEY} ops team");
        let key: PublicKey = format!("{line}\n").parse().unwrap();
        assert_eq!((key.as_line(), key.base64()), (line.as_str(), KEY));
        let refused = [
            String::new(),
            "ssh-ed25519".to_owned(),
            "ssh-ed25519 AAAA".to_owned(),
            format!("no-pty ssh-ed25519 {KEY}"),
            format!("ssh-ed25519 {KEY} a\nssh-ed25519 {KEY} b"),
            format!("ssh-ed25519 {KEY};id"),
        ];
        for text in refused {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_known_by_itself_not_by_its_comment() {
        let key: PublicKey = format!("ssh-ed25519 {KEY} new").parse().unwrap();
        assert!(key.is_in(&format!("# x\nssh-rsa AAAA a\n  ssh-ed25519\t{KEY} old\n")));
        assert!(
            !key.is_in(&format!("#ssh-ed25519 {KEY}\nfrom=\"192.0.2.1\" ssh-ed25519 {KEY} x\n"))
        );
        assert!(!key.is_in(""));
    }
}
