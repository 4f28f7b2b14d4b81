//! [`MemoryBlobs`]: the blob store's contract in memory, with an outage and a full disk on demand.

use std::collections::BTreeMap;
use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use common::digest::Digest;
use common::port::Blobs;
use common::port::blobs::{ByteStream, Error, Shelf, StoredBlob};
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;

/// How large the pieces of a stream are: small, so that readers see more than one.
const PIECE: usize = 16 * 1024;

/// What a blob store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    /// It refuses every call.
    Down,
    /// It has no space left: nothing new can be kept.
    Full,
}

/// Blobs in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    blobs: BTreeMap<Digest, Bytes>,
    /// When they were last said to be used; never, if nobody did.
    used: BTreeMap<Digest, Timestamp>,
    health: Health,
}

impl MemoryBlobs {
    pub fn new() -> Self {
        MemoryBlobs::default()
    }

    /// How the blob store behaves from now on.
    pub fn set_health(&self, health: Health) {
        self.lock().health = health;
    }

    /// Changes the bytes that are kept under a digest, as a failing disk would.
    pub fn corrupt(&self, digest: &Digest, bytes: Bytes) {
        self.lock().blobs.insert(digest.clone(), bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, Shared>, Error> {
        let shared = self.lock();
        match shared.health {
            Health::Answers | Health::Full => Ok(shared),
            Health::Down => Err(Error::Unavailable("the blob store is switched off".into())),
        }
    }

    fn keep(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let mut shared = self.open()?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(Error::Mismatch { wanted: digest.clone(), found });
        }
        if shared.blobs.contains_key(digest) {
            return Ok(());
        }
        if shared.health == Health::Full {
            return Err(Error::Full(Box::new(IoError::from(ErrorKind::StorageFull))));
        }
        shared.blobs.insert(digest.clone(), bytes);
        Ok(())
    }
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put_file(&self, digest: &Digest, file: &Path) -> Result<(), Error> {
        let bytes = std::fs::read(file).map_err(|err| Error::Unavailable(Box::new(err)))?;
        tokio::task::yield_now().await;
        self.keep(digest, bytes.into())
    }

    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        tokio::task::yield_now().await;
        let digest = Digest::of(&bytes);
        self.keep(&digest, bytes)?;
        Ok(digest)
    }

    async fn get(&self, digest: &Digest) -> Result<(u64, ByteStream), Error> {
        tokio::task::yield_now().await;
        let kept = self.open()?.blobs.get(digest).cloned();
        let bytes = kept.ok_or_else(|| Error::Absent(digest.clone()))?;
        let found = Digest::of(&bytes);
        let mut pieces: Vec<Result<Bytes, Error>> = (0..bytes.len())
            .step_by(PIECE)
            .map(|start| Ok(bytes.slice(start..bytes.len().min(start + PIECE))))
            .collect();
        if found != *digest {
            pieces.push(Err(Error::Mismatch { wanted: digest.clone(), found }));
        }
        Ok((bytes.len() as u64, stream::iter(pieces).boxed()))
    }

    async fn list(&self) -> Result<Vec<Digest>, Error> {
        tokio::task::yield_now().await;
        Ok(self.open()?.blobs.keys().cloned().collect())
    }

    async fn delete(&self, digest: &Digest) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut shared = self.open()?;
        shared.blobs.remove(digest);
        shared.used.remove(digest);
        Ok(())
    }
}

#[async_trait]
impl Shelf for MemoryBlobs {
    async fn stored(&self) -> Result<Vec<StoredBlob>, Error> {
        tokio::task::yield_now().await;
        let shared = self.open()?;
        let stored = shared.blobs.iter().map(|(digest, bytes)| StoredBlob {
            digest: digest.clone(),
            bytes: bytes.len() as u64,
            used: shared.used.get(digest).copied().unwrap_or(Timestamp::UNIX_EPOCH),
        });
        Ok(stored.collect())
    }

    async fn touch(&self, digest: &Digest, at: Timestamp) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut shared = self.open()?;
        if !shared.blobs.contains_key(digest) {
            return Err(Error::Absent(digest.clone()));
        }
        shared.used.insert(digest.clone(), at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[tokio::test]
    async fn the_contract_is_kept() {
        let scratch = std::env::temp_dir().join(format!("memory-blobs-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).unwrap();
        contract::blobs::is_kept(&MemoryBlobs::new(), &scratch).await;
        contract::blobs::uses_are_kept(&MemoryBlobs::new()).await;
        std::fs::remove_dir_all(&scratch).unwrap();
    }

    #[tokio::test]
    async fn bytes_that_changed_are_noticed_at_their_end() {
        let blobs = MemoryBlobs::new();
        let digest = blobs.put(Bytes::from_static(b"right")).await.unwrap();
        blobs.corrupt(&digest, Bytes::from_static(b"wrong"));
        contract::blobs::corruption_is_noticed(&blobs, &digest).await;
    }

    #[tokio::test]
    async fn a_full_store_keeps_what_it_has_and_takes_nothing_new() {
        let blobs = MemoryBlobs::new();
        let digest = blobs.put(Bytes::from_static(b"old")).await.unwrap();
        blobs.set_health(Health::Full);
        assert_eq!(blobs.put(Bytes::from_static(b"old")).await.unwrap(), digest);
        assert!(matches!(blobs.put(Bytes::from_static(b"new")).await, Err(Error::Full(_))));
        assert_eq!(blobs.list().await.unwrap(), [digest]);
    }
}
