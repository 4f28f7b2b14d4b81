//! Blobs: immutable bytes under their digest.

use std::fmt::Debug;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use jiff::Timestamp;

use super::Cause;
use crate::digest::Digest;

/// Why the blob store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no blob {0}")]
    Absent(Digest),
    #[error("the blob store is unavailable")]
    Unavailable(#[source] Cause),
    #[error("there is no space left for blobs")]
    Full(#[source] Cause),
    /// The bytes do not have the digest they were given or stored under.
    #[error("the bytes have the digest {found}, not {wanted}")]
    Mismatch { wanted: Digest, found: Digest },
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}

/// The bytes of a blob, in pieces.
pub type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// Keeps immutable bytes under their digest.
#[async_trait]
pub trait Blobs: Debug + Send + Sync {
    /// Keeps a file's bytes under `digest`, once; they are checked. The file stays where it is.
    async fn put_file(&self, digest: &Digest, file: &Path) -> Result<(), Error>;

    /// Keeps bytes that are at hand whole.
    async fn put(&self, bytes: Bytes) -> Result<Digest, Error>;

    /// The size of a blob in bytes, and its bytes.
    async fn get(&self, digest: &Digest) -> Result<(u64, ByteStream), Error>;

    /// All digests, sorted.
    async fn list(&self) -> Result<Vec<Digest>, Error>;

    /// Removes a blob if it is there.
    async fn delete(&self, digest: &Digest) -> Result<(), Error>;
}

/// A blob as a machine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    pub digest: Digest,
    pub bytes: u64,
    /// When it was last put or asked for, as far as that was said.
    pub used: Timestamp,
}

/// The blobs of one machine, and when each was last used: for who cares for its disk.
#[async_trait]
pub trait Shelf: Blobs {
    /// All of them, sorted by digest.
    async fn stored(&self) -> Result<Vec<StoredBlob>, Error>;

    /// Says of one that it is used at this time.
    async fn touch(&self, digest: &Digest, at: Timestamp) -> Result<(), Error>;
}
