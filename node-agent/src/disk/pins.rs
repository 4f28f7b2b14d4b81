//! Which images are kept on this machine, as the node manager last said: on disk, so that it holds while nobody can be
//! asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::port::disk::Pin;

use crate::ledger;

#[derive(Debug)]
pub(crate) struct Pins {
    path: PathBuf,
    now: Mutex<Option<Arc<[Pin]>>>,
}

impl Pins {
    /// What cannot be read counts as never said: then more is kept, not less.
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("pins.json");
        let now = match read(&path) {
            Ok(pins) => pins,
            Err(err) => {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "what images are kept cannot be read; it is waited for anew"
                );
                None
            }
        };
        Pins { path, now: Mutex::new(now.map(Into::into)) }
    }

    /// None if nobody has said yet what is kept.
    pub(crate) fn now(&self) -> Option<Arc<[Pin]>> {
        self.lock().clone()
    }

    /// Returns once it is on the disk.
    pub(crate) async fn replace(&self, pins: Vec<Pin>) -> io::Result<()> {
        if self.now().is_some_and(|now| *now == *pins) {
            return Ok(());
        }
        ledger::write_file(&self.path, serde_json::to_vec(&pins)?).await?;
        *self.lock() = Some(pins.into());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<[Pin]>>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<Pin>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

#[cfg(test)]
mod tests {
    use common::digest::{Digest, ImageRef};

    use super::*;

    #[tokio::test]
    async fn what_is_kept_outlives_the_agent_and_damage_makes_it_unsaid() {
        let folder = tempfile::tempdir().unwrap();
        let image = ImageRef::new("apps/shop", Digest::of(b"")).unwrap();
        let pins = vec![Pin { image, by: "shop release 1".to_owned() }];
        assert_eq!(Pins::open(folder.path()).now(), None);
        Pins::open(folder.path()).replace(pins.clone()).await.unwrap();
        assert_eq!(Pins::open(folder.path()).now().as_deref(), Some(&*pins));
        Pins::open(folder.path()).replace(Vec::new()).await.unwrap();
        assert_eq!(Pins::open(folder.path()).now().as_deref(), Some(&[][..]));
        fs::write(folder.path().join("pins.json"), "[{").unwrap();
        assert_eq!(Pins::open(folder.path()).now(), None);
    }
}
