//! Reading what this service decides from, and writing under its epoch.

use chassis::leading;
use chassis::records::{self, Stored};
use common::port::store::{self, Op, Path};
use common::port::{bus, routes};
use common::record::path;
use common::record::platform::PlatformRecord;

use crate::shared::Shared;

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Records(#[from] records::Error),
    /// Another instance leads: this one must not write any more.
    #[error("another platform initializer leads")]
    Deposed,
    /// Nothing is written before the lead was taken.
    #[error("the platform initializer is still starting")]
    NotLeading,
    #[error("the bus did not take a message")]
    Bus(#[from] bus::Error),
    #[error("the load balancer did not do it")]
    Routes(#[from] routes::Error),
    /// Nothing that could be the service answers through its front door.
    #[error("nothing answers through its front door")]
    Unanswered,
    /// So many answers wait for the bus that no more can be owed.
    #[error("the bus has not taken the answers to earlier requests yet")]
    TooMuchOwed,
}

impl From<leading::Error> for Error {
    fn from(err: leading::Error) -> Self {
        match err {
            leading::Error::Records(err) => Error::Records(err),
            leading::Error::Deposed => Error::Deposed,
            leading::Error::NotLeading => Error::NotLeading,
            leading::Error::Bus(err) => Error::Bus(err),
        }
    }
}

impl From<store::Error> for Error {
    fn from(err: store::Error) -> Self {
        Error::Records(err.into())
    }
}

impl Error {
    /// Whether someone changed a record in between, or nobody knows: read and decide again.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Error::Records(records::Error::Changed))
    }
}

/// Writes all or nothing, if this instance still leads. [`records::Error::Changed`] asks to read and decide
/// again: a record changed, or nobody knows whether the write was done.
pub(crate) async fn commit(shared: &Shared, changes: Vec<Op>) -> Result<(), Error> {
    shared.seat.commit(changes).await?;
    shared.changed();
    Ok(())
}

pub(crate) async fn platform(
    shared: &Shared,
) -> Result<Option<Stored<PlatformRecord>>, records::Error> {
    records::load(shared.ports.store.as_ref(), &path::platform()).await
}

/// The entries of document 001's registry: every name below `/services`, and the address of each instance.
pub(crate) fn registry() -> Path {
    "/services".parse().expect("a constant path is one")
}
