//! What the services of one process share: the embedded bus and store, in a folder of theirs.

use std::path::Path;
use std::sync::Arc;

use adapters::embedded::{EmbeddedBus, EmbeddedStore, Error, Folder, Retention};
use chassis::system::SystemClock;
use common::port::{Bus, Store};

/// The bus and the store of a platform in one process.
#[derive(Debug)]
pub(crate) struct Within {
    bus: EmbeddedBus,
    store: EmbeddedStore,
}

impl Within {
    /// Takes the folder for this process alone. Blocks, longer after a crash.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let folder = Folder::open(folder)?;
        let bus = EmbeddedBus::open(&folder, Arc::new(SystemClock), Retention::default())?;
        Ok(Within { bus, store: EmbeddedStore::open(&folder)? })
    }

    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus.clone())
    }

    /// The store, with a session of its own for each service.
    pub(crate) fn session(&self) -> Arc<dyn Store> {
        Arc::new(self.store.session())
    }

    /// Writes what was accepted, and closes both.
    pub(crate) async fn close(self) -> Result<(), Error> {
        self.bus.close().await?;
        self.store.close().await
    }
}
