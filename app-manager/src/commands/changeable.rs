//! The instance that a request is about, as it is when it is decided about: to whoever may not change it, it does not exist.

use chassis::records::Stored;
use common::name::LegacyName;
use common::port::Store;
use common::record::instance::{Instance, State};

use super::Error;
use crate::domain::access::{Action, Ownership, Person};
use crate::records::instances;

/// In whatever state it is.
pub(super) async fn instance(
    store: &dyn Store,
    person: &Person,
    name: &LegacyName,
) -> Result<Stored<Instance>, Error> {
    let stored = instances::load(store, name).await?.ok_or(Error::InstanceUnknown)?;
    if person.may(Action::ChangeInstance, Ownership::of(&stored.record.owner)) {
        Ok(stored)
    } else {
        Err(Error::InstanceUnknown)
    }
}

/// One that is deployed, or that somebody wants to be.
pub(super) async fn deployed(
    store: &dyn Store,
    person: &Person,
    name: &LegacyName,
) -> Result<Stored<Instance>, Error> {
    let stored = instance(store, person, name).await?;
    if is_away(&stored.record) { Err(Error::NotDeployed) } else { Ok(stored) }
}

/// Whether it does not run, and is not on its way to.
pub(super) fn is_away(instance: &Instance) -> bool {
    matches!(instance.state, State::Scheduled | State::Stopping | State::Stopped)
}
