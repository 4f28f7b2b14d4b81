//! What the services of one process share: the embedded bus and store, in a folder of theirs.

mod current_certificates;
mod current_drains;
mod current_routes;
mod current_upkeep;
mod this_machine;

use std::path::Path;
use std::sync::Arc;

use adapters::embedded::{EmbeddedBus, EmbeddedStore, Error, Folder, Retention};
use chassis::system::SystemClock;
use common::port::{Bus, Store};

pub(crate) use current_certificates::CurrentCertificates;
pub(crate) use current_drains::CurrentDrains;
pub(crate) use current_routes::CurrentRoutes;
pub(crate) use current_upkeep::CurrentUpkeep;
pub(crate) use this_machine::ThisMachine;

/// The bus and the store of a platform in one process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Within {
    bus: EmbeddedBus,
    store: EmbeddedStore,
}

/// The services of the process that others call, each as it was made last.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    pub(crate) routes: CurrentRoutes,
    pub(crate) certificates: CurrentCertificates,
    pub(crate) upkeep: CurrentUpkeep,
    pub(crate) drains: CurrentDrains,
}

/// What is done about a file that is damaged or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damaged {
    Refuse,
    /// It is set aside, and another takes its place.
    SetAside,
}

impl Within {
    /// Takes the folder for this process alone. Blocks, longer after a crash.
    pub(crate) fn open(folder: &Path, damaged: Damaged) -> Result<Self, Error> {
        let folder = Folder::open(folder)?;
        let clock = || Arc::new(SystemClock);
        let bus = || EmbeddedBus::open(&folder, clock(), Retention::default());
        let bus = open_one(&folder, damaged, bus)?;
        Ok(Within { bus, store: open_one(&folder, damaged, || EmbeddedStore::open(&folder))? })
    }

    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus.clone())
    }

    /// The store, with a session of its own for each service.
    pub(crate) fn session(&self) -> Arc<dyn Store> {
        Arc::new(self.store.session())
    }

    /// Completes when one of the two cannot be used any more in this process, with why.
    pub(crate) async fn failed(&self) -> Arc<Error> {
        tokio::select! {
            biased;
            cause = self.bus.failed() => cause,
            cause = self.store.failed() => cause,
        }
    }

    /// Writes what was accepted, and closes both.
    pub(crate) async fn close(self) -> Result<(), Error> {
        self.bus.close().await?;
        self.store.close().await
    }
}

fn open_one<T>(
    folder: &Folder,
    damaged: Damaged,
    open: impl Fn() -> Result<T, Error>,
) -> Result<T, Error> {
    match open() {
        Err(Error::Damaged { file, source }) if damaged == Damaged::SetAside => {
            let aside = folder.set_aside(&file)?;
            tracing::warn!(file = %file.display(), ?aside, error = source.as_ref() as &dyn std::error::Error, "a new one takes its place");
            open()
        }
        opened => opened,
    }
}
