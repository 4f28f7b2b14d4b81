//! The ledger: what the agent was last told, and by whom. On disk before it has an effect.

mod book;
mod entries;
mod file;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::name::{ContainerName, PartName};
use common::port::container::ContainerSpec;
use common::port::nodes::Issuer;
use common::port::part::PartSpec;

use crate::metrics::Metrics;
pub(crate) use book::{Entry, Noted};
pub(crate) use entries::{Conflict, Entries};
use file::LedgerFile;
pub(crate) use file::write_file;

/// Why the ledger did not take something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error("the ledger cannot be written")]
    Write(#[source] io::Error),
}

/// Whether a change is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Made,
    None,
}

impl Change {
    /// Made, if one of the two is.
    fn or(self, other: Change) -> Change {
        if self == Change::Made { self } else { other }
    }
}

/// The ledger of this machine.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: LedgerFile,
    entries: Mutex<Arc<Entries>>,
    writing: tokio::sync::Mutex<()>,
    /// Here, as every order is refused here or nowhere.
    pub(crate) metrics: Metrics,
}

impl Ledger {
    /// Reads the ledger of a folder; makes the folder if it is not there.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let file = LedgerFile::new(folder)?;
        let entries = Mutex::new(Arc::new(file.read()?));
        let metrics = Metrics::new();
        Ok(Ledger { file, entries, writing: tokio::sync::Mutex::default(), metrics })
    }

    /// What stands in it.
    pub(crate) fn read(&self) -> Arc<Entries> {
        Arc::clone(&self.lock())
    }

    pub(crate) fn entry(&self, name: &ContainerName) -> Option<Entry<ContainerSpec>> {
        self.read().containers().get(name).cloned()
    }

    pub(crate) fn part(&self, name: &PartName) -> Option<Entry<PartSpec>> {
        self.read().parts().get(name).cloned()
    }

    /// Changes it; returns once the change is on the disk.
    pub(crate) async fn change<T>(
        &self,
        change: impl FnOnce(&mut Entries) -> Result<(T, Change), Conflict>,
    ) -> Result<T, Error> {
        let _writing = self.writing.lock().await;
        let mut entries = Entries::clone(&self.read());
        let (result, changed) = change(&mut entries).inspect_err(|conflict| self.note(conflict))?;
        if changed == Change::Made {
            self.file.write(&entries).await.map_err(Error::Write)?;
            *self.lock() = Arc::new(entries);
        }
        Ok(result)
    }

    fn note(&self, conflict: &Conflict) {
        if let Conflict::StaleEpoch { issuer, seen } = conflict {
            let Issuer { service, epoch } = *issuer;
            tracing::warn!(%service, %epoch, %seen, "an order of a leader that another one followed is refused");
            self.metrics.refused(*issuer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Entries>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
