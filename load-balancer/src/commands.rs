//! What others ask of the load balancer: each command validates, records what is wanted in one
//! transaction, wakes whoever makes it so. Calls that block then wait a bounded time for it.

pub(crate) mod announce_route;
pub(crate) mod certificates;
pub(crate) mod deregister_app;
pub(crate) mod inbox;
pub(crate) mod leave_out;
pub(crate) mod probe_route;
pub(crate) mod register_app;
pub(crate) mod remove_route;
pub(crate) mod rescale;
pub(crate) mod route_traffic;
pub(crate) mod scale_app;
pub(crate) mod set_route;
pub(crate) mod status_app;
pub(crate) mod take;

mod outcome;

use chassis::{leading, records};
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{HostName, LegacyName};
use common::port::store;
use common::record::route::Route;
use tokio::time::Instant;

use crate::domain::certificate::Unfit;
use crate::domain::route::Invalid;
use crate::records::route;
use crate::seal;
use crate::shared::Shared;

/// How often a command reads and decides again because someone else was faster.
const ATTEMPTS: usize = 16;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A newer generation of the route stands.
    #[error("the route has generation {0}")]
    Stale(Generation),
    #[error("the route cannot be as it was asked for")]
    Invalid(#[source] Invalid),
    /// Only the deployment manager changes the route of what it deployed.
    #[error("{0} is deployed by the platform, which routes it")]
    Deployed(LegacyName),
    #[error("the certificate cannot be shown to visitors of that name")]
    Unfit(#[source] Unfit),
    /// There is no certificate for the host name.
    #[error("{0} has no certificate")]
    NoCertificate(HostName),
    /// Keys can be neither sealed nor opened.
    #[error("certificates cannot be kept")]
    Unsealed(#[source] seal::Error),
    #[error("{0}")]
    Failed(Failure),
    #[error(transparent)]
    Records(#[from] leading::Error),
}

impl From<records::Error> for Error {
    fn from(err: records::Error) -> Self {
        Error::Records(err.into())
    }
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Error::Records(err.into())
    }
}

impl Error {
    pub(crate) fn failed(code: FailureCode, message: impl Into<String>) -> Self {
        Error::Failed(Failure::new(code, message))
    }

    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Error::Records(err) if err.is_changed())
    }
}

/// Looks at a route each time that one got further, until it is as it should be. Its reconciler gives up draining by itself;
/// the bound here is only larger.
async fn wait_for_route(
    shared: &Shared,
    instance: &LegacyName,
    is_so: impl Fn(Option<&Route>) -> Result<bool, Error>,
    otherwise: &str,
) -> Result<(), Error> {
    let deadline = Instant::now() + shared.config.drain_within + shared.config.confirm_within;
    let mut settled = shared.settled();
    loop {
        settled.mark_unchanged();
        shared.ports.store.sync().await?;
        let standing = route(&*shared.ports.store, instance).await?;
        if is_so(standing.as_ref().map(|stored| &stored.record))? {
            return Ok(());
        }
        if shared.wait(deadline, settled.changed()).await.is_none() {
            return Err(Error::failed(FailureCode::RouteFailed, otherwise));
        }
    }
}
