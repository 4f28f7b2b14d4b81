//! [`Leader`]: where the leader of a service listens, as the store says.
//!
//! Owns the look and how long it counts; whoever finds that nobody is there any more has to say so.

mod client;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::port::Store;
use common::port::store;
use common::record::leader::{self, CandidateRecord};
use common::record::{self, path};
use common::service::ServiceName;
use tokio::time::{Instant, timeout};

pub use self::client::InvalidCertificates;
pub(crate) use self::client::LeaderClient;

/// How long an answer of the store counts. A leader that was replaced meanwhile is found out by its silence or
/// by its redirect.
const COUNTS_FOR: Duration = Duration::from_secs(5);
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// Why the leader's address is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the store cannot be asked who leads {0}")]
    Store(ServiceName, #[source] store::Error),
    #[error("the store did not say within 2 s who leads {0}")]
    Silent(ServiceName),
    #[error("nobody leads {0}")]
    Nobody(ServiceName),
    #[error("the leader of {0} does not listen for services")]
    Deaf(ServiceName),
}

/// Finds the leader of one service.
#[derive(Debug)]
pub(crate) struct Leader {
    store: Arc<dyn Store>,
    service: ServiceName,
    known: Mutex<Option<(SocketAddr, Instant)>>,
}

impl Leader {
    pub(crate) fn new(store: Arc<dyn Store>, service: ServiceName) -> Self {
        Leader { store, service, known: Mutex::new(None) }
    }

    /// Where its mutual-TLS listener is.
    pub(crate) async fn address(&self) -> Result<SocketAddr, Error> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((address, _)) = known.filter(|(_, since)| since.elapsed() < COUNTS_FOR) {
            return Ok(address);
        }
        let looked = timeout(LOOK_WITHIN, self.look()).await;
        let address = looked.map_err(|_| Error::Silent(self.service))??;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((address, Instant::now()));
        Ok(address)
    }

    /// Nobody leads there any more: the next call looks again.
    pub(crate) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn look(&self) -> Result<SocketAddr, Error> {
        let service = self.service;
        let failed = |err| Error::Store(service, err);
        let folder = path::leaders(service);
        let names = self.store.children(&folder).await.map_err(failed)?;
        let first = leader::first(&names).and_then(|name| folder.join(name).ok());
        let path = first.ok_or(Error::Nobody(service))?;
        let entry = self.store.get(&path).await.map_err(failed)?.ok_or(Error::Nobody(service))?;
        let found: CandidateRecord =
            record::decode(&entry.value).map_err(|_| Error::Nobody(service))?;
        let internal = found.advertised.internal.ok_or(Error::Deaf(service))?;
        internal.parse().map_err(|_| Error::Deaf(service))
    }
}
