//! Message 10, `stop app$<instance>`: nothing of an instance should be left.

use chassis::consumer::Disposition;
use chassis::operations::{Acceptance, Request};
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::name::LegacyName;
use common::record::deployment::Goal;

use super::{Error, answered, decided, record, refuse};
use crate::domain::accept::{self, WantedStop};
use crate::shared::Shared;
use crate::{observe, records as stored};

/// A known instance that is not deployed is stopped already, and said to be.
pub(super) async fn accept(
    shared: &Shared,
    request: Request,
    instance: LegacyName,
) -> Result<Disposition, Error> {
    let offered = decided(shared, || offer(shared, &request, &instance)).await?;
    let acceptance = match offered {
        Some(acceptance) => acceptance,
        None => {
            let message = "there is no instance of this name";
            let failure = Failure::new(FailureCode::UnknownInstance, message);
            refuse::refused(shared, &request, &instance, &failure).await?
        }
    };
    answered(shared, &request, &instance, Goal::Stopped, acceptance).await
}

async fn offer(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
) -> Result<Option<Acceptance>, records::Error> {
    let store = shared.ports.store.as_ref();
    let (known, before) = futures::try_join!(
        observe::instance(store, instance),
        stored::deployment(store, instance),
    )?;
    let app = match (&before, &known) {
        (Some(before), _) => before.record.app.clone(),
        (None, Some(known)) => known.app.clone(),
        (None, None) => return Ok(None),
    };
    let after = accept::stop(
        before.as_ref().map(|before| before.record.clone()),
        instance.clone(),
        WantedStop { request: request.id, app },
        &shared.config.patience,
        shared.ports.clock.now(),
    );
    record(shared, request, before.as_ref(), after).await.map(Some)
}
