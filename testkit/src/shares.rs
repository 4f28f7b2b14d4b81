//! [`MemoryShare`]: a share in memory, with an outage and wrong credentials on demand.

mod known;
mod trial;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::{ChunkStream, Entry, Error, Folder, Limits, Listing, Version};
use futures::{StreamExt as _, stream};

pub use known::MemoryShares;
pub use trial::Trial;

/// How large the chunks of a file are: small, so that readers see more than one.
const CHUNK: usize = 16 * 1024;

/// What a share answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    #[default]
    Answers,
    Down,
    /// It does not know who asks.
    Refuses,
}

/// A share in memory. Clones share its files.
#[derive(Debug, Clone)]
pub struct MemoryShare {
    place: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// By their paths from the top; how often one was written is its version.
    files: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
    listings: u64,
    health: Health,
}

impl MemoryShare {
    /// An empty share.
    pub fn new(place: &str) -> Self {
        MemoryShare { place: place.to_owned(), shared: Arc::default() }
    }

    /// How the share behaves from now on.
    pub fn set_health(&self, health: Health) {
        self.lock().health = health;
    }

    /// Writes a file by its path from the top, whatever that is.
    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        let mut shared = self.lock();
        shared.writes += 1;
        let version = shared.writes;
        shared.files.insert(path.to_owned(), (content.into(), version));
    }

    /// Removes a file if it is there.
    pub fn remove(&self, path: &str) {
        self.lock().files.remove(path);
    }

    /// How often somebody asked what is in a folder, whatever was answered.
    pub fn listings(&self) -> u64 {
        self.lock().listings
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, Shared>, Error> {
        let shared = self.lock();
        let place = self.place.clone();
        match shared.health {
            Health::Answers => Ok(shared),
            Health::Down => {
                Err(Error::Unavailable { place, source: "the share is switched off".into() })
            }
            Health::Refuses => {
                Err(Error::CredentialsRefused { place, said: "AuthenticationFailed".to_owned() })
            }
        }
    }

    /// The next bytes of a file that must still be the listed one.
    fn chunk(&self, path: &str, entry: &Entry, start: usize) -> Result<Bytes, Error> {
        let shared = self.open()?;
        let is_same = |(content, version): &&(Bytes, u64)| {
            content.len() as u64 == entry.size && version.to_string() == entry.version.as_str()
        };
        let changed = || Error::Changed { place: self.place.clone(), name: entry.name.clone() };
        let (content, _) = shared.files.get(path).filter(is_same).ok_or_else(changed)?;
        Ok(content.slice(start..content.len().min(start + CHUNK)))
    }
}

#[async_trait]
impl Share for MemoryShare {
    fn place(&self) -> &str {
        &self.place
    }

    async fn list(&self, folder: &Folder, limits: &Limits) -> Result<Vec<Entry>, Error> {
        tokio::task::yield_now().await;
        self.lock().listings += 1;
        let shared = self.open()?;
        let mut listing = Listing::begin(&self.place, folder, limits);
        let prefix = if folder.as_str().is_empty() {
            String::new()
        } else {
            format!("{}/", folder.as_str())
        };
        for (path, (content, version)) in &shared.files {
            if let Some(below) = path.strip_prefix(&prefix) {
                listing.add(below, content.len() as u64, Version::new(version.to_string()))?;
            }
        }
        listing.finish()
    }

    async fn read(&self, folder: &Folder, entry: &Entry) -> Result<ChunkStream, Error> {
        tokio::task::yield_now().await;
        let reading = (self.clone(), folder.path_of(&entry.name), entry.clone(), 0);
        let chunks = stream::try_unfold(reading, |(share, path, entry, start)| async move {
            let chunk = share.chunk(&path, &entry, start)?;
            let next = start + chunk.len();
            Ok((!chunk.is_empty()).then_some((chunk, (share, path, entry, next))))
        });
        Ok(chunks.boxed())
    }
}

#[cfg(test)]
mod tests {
    use common::port::share;

    use super::*;
    use crate::contract;

    #[tokio::test]
    async fn the_contract_is_kept() {
        contract::shares::holds(&Trial::begin()).await;
    }

    #[tokio::test]
    async fn a_share_that_is_down_may_be_asked_again() {
        let memory = MemoryShare::new("memory");
        memory.put("a/b", "x");
        memory.set_health(Health::Down);
        let folder: Folder = "a".parse().unwrap();
        let away = share::context(&memory, &folder, &Limits::default()).await.unwrap_err();
        assert!(away.is_retryable(), "{away}");
        memory.set_health(Health::Answers);
        assert!(share::context(&memory, &folder, &Limits::default()).await.is_ok());
    }
}
