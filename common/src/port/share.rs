//! Shares: folders of files that somebody keeps outside of the platform, where the code of services comes from.
//!
//! They are only read. What a share says of itself is not believed: names that lead elsewhere are refused, sizes are
//! bounded, and a file is given as it was listed or not at all.

mod code;
mod context;
mod description;
mod failure;
mod fetch;
mod listing;
mod path;

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

pub use code::{Code, NotCode};
pub use context::Context;
pub use description::{Access, AzureOpener, AzurePlace, Description, FolderPlace, S3Place};
pub use failure::Error;
pub use fetch::{context, read};
pub use listing::Listing;
pub use path::{FileName, Folder, Unfit};

use super::Cause;
use crate::name::ShareName;

/// No share gives more bytes of a file at once.
pub const MAX_CHUNK: usize = 4 * 1024 * 1024;

/// How much a folder may hold. What does not count, because a name begins with a dot, is not counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub files: usize,
    /// The bytes of one file.
    pub file_bytes: u64,
    /// The bytes of all files together.
    pub total_bytes: u64,
}

impl Default for Limits {
    /// More than the code of a service needs, and less than the memory of a machine.
    fn default() -> Self {
        Limits { files: 5_000, file_bytes: 64 << 20, total_bytes: 128 << 20 }
    }
}

/// Which content a file had when it was listed: two that differ are two contents. Only the share that said it can
/// read it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

impl Version {
    pub fn new(text: impl Into<String>) -> Self {
        Version(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: FileName,
    /// In bytes.
    pub size: u64,
    pub version: Version,
}

/// The bytes of a file in order, at most [`MAX_CHUNK`] at once. An error is the last item.
pub type ChunkStream = BoxStream<'static, Result<Bytes, Error>>;

/// One share. Every method may be repeated.
#[async_trait]
pub trait Share: Debug + Send + Sync {
    /// Where it is, for people; never with a secret in it.
    fn place(&self) -> &str;

    /// The files below a folder at any depth, sorted by name. What has a name that begins with a dot is left out, with
    /// all that is in it. A folder without files is not there: object stores know no empty folders.
    async fn list(&self, folder: &Folder, limits: &Limits) -> Result<Vec<Entry>, Error>;

    /// The bytes of a file that was listed. What changed since then, or changes meanwhile, ends in [`Error::Changed`],
    /// before or after some of its bytes: only a stream that ends without an error is the file.
    async fn read(&self, folder: &Folder, entry: &Entry) -> Result<ChunkStream, Error>;
}

/// Why a share cannot even be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("this machine knows of no share {0}")]
    Unknown(ShareName),
    /// What is said of it is wrong, or what opens it cannot be used; said without the secret.
    #[error("the share {name} cannot be opened: {why}")]
    Unusable { name: ShareName, why: String },
}

/// The shares that are known where somebody acts.
#[async_trait]
pub trait Shares: Debug + Send + Sync {
    /// Opens a share as it is described now: a new key counts from the next call on. Nothing is asked of it yet.
    async fn open(&self, name: &ShareName) -> Result<Arc<dyn Share>, Closed>;

    /// Keeps what a share is and what opens it, in place of what was known of it.
    async fn keep(&self, name: &ShareName, access: &Access) -> Result<(), Cause>;
}
