//! Content addresses: of bundles and of images.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Why a text is not a content address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a digest is sha256: and 64 lower-case hexadecimal digits")]
    Digest,
    #[error("an image is named by digest: [registry/]repository@sha256:<64 hexadecimal digits>")]
    Image,
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A sha256 digest, written `sha256:<64 hexadecimal digits>`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of bytes that are at hand whole.
    pub fn of(bytes: &[u8]) -> Self {
        Digest::from_sha256(Sha256::digest(bytes).into())
    }

    /// The digest that a hasher arrived at.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Digest(format!("sha256:{}", hex(&hash)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or_default()
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let hex = text.strip_prefix("sha256:").ok_or(Error::Digest)?;
        let kept = hex.len() == 64
            && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if kept { Ok(Digest(text.to_owned())) } else { Err(Error::Digest) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// An image named by digest: `[registry/]repository@sha256:…`. Tags are never used: they move.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    repository: String,
    digest: Digest,
}

impl ImageRef {
    /// `repository` may begin with a registry's `host[:port]/`.
    pub fn new(repository: &str, digest: Digest) -> Result<Self, Error> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':')
        };
        let parts_kept = repository.split('/').all(|part| {
            part.bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && !part.contains("..")
        });
        let colons_kept = match repository.rsplit_once('/') {
            Some((host, last)) => !last.contains(':') && host.matches(':').count() <= 1,
            None => !repository.contains(':'),
        };
        let kept =
            repository.len() <= 200 && repository.bytes().all(allowed) && parts_kept && colons_kept;
        if kept {
            Ok(ImageRef { repository: repository.to_owned(), digest })
        } else {
            Err(Error::Image)
        }
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl FromStr for ImageRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (repository, digest) = text.split_once('@').ok_or(Error::Image)?;
        ImageRef::new(repository, digest.parse().map_err(|_| Error::Image)?)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl TryFrom<String> for ImageRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_back() {
        let digest = Digest::of(b"x");
        for repository in
            ["hello", "registry:5000/apps/hello", "192.0.2.1:5000/a", "example.org/a-b/c_d"]
        {
            let image = ImageRef::new(repository, digest.clone()).unwrap();
            assert_eq!(image.to_string().parse::<ImageRef>(), Ok(image));
        }
    }

    #[test]
    fn tags_options_and_hostile_references_are_refused() {
        let digest = Digest::of(b"x");
        for repository in
            ["", "--help", "a:tag", "a/b:tag", "A", "a/../b", "a b", "/a", "a//b", "a;b"]
        {
            assert_eq!(
                ImageRef::new(repository, digest.clone()),
                Err(Error::Image),
                "{repository}"
            );
        }
        assert!("hello:latest".parse::<ImageRef>().is_err());
        assert!("hello@sha256:00".parse::<ImageRef>().is_err());
    }
}
