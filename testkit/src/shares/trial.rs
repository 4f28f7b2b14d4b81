//! The share on which the suite tries shares in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use common::port::Share;
use common::port::share::Folder;

use super::{Health, MemoryShare};
use crate::contract::shares::World;

/// A share in memory, and one that refuses everybody.
#[derive(Debug)]
pub struct Trial {
    share: MemoryShare,
    refusing: MemoryShare,
    next: AtomicU32,
}

impl Trial {
    /// With nothing on it.
    pub fn begin() -> Self {
        let refusing = MemoryShare::new("memory");
        refusing.set_health(Health::Refuses);
        Trial { share: MemoryShare::new("memory"), refusing, next: AtomicU32::new(1) }
    }

    /// The share of this world.
    pub fn memory(&self) -> &MemoryShare {
        &self.share
    }
}

#[async_trait(?Send)]
impl World for Trial {
    fn share(&self) -> &dyn Share {
        &self.share
    }

    fn refused(&self) -> Option<&dyn Share> {
        Some(&self.refusing)
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    fn fresh_folder(&self) -> Folder {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("trial/{number}").parse().expect("it is a folder")
    }

    async fn put(&self, path: &str, content: Bytes) {
        self.share.put(path, content);
    }

    async fn remove(&self, path: &str) {
        self.share.remove(path);
    }

    async fn plant(&self, folder: &Folder, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else { return false };
        self.share.put(&format!("{}/{name}", folder.as_str()), "x");
        true
    }
}
