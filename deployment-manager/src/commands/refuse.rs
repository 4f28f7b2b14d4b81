//! A request that nothing can be made of: it is accepted and ends in the same transaction.
//!
//! Its notice is not owed by any record. It is published before the message's position is committed,
//! and a repeat of the message is answered with the stored outcome: a crash in between repeats the
//! notice and never loses it.

use chassis::operations::{self, Acceptance, Request};
use chassis::records;
use common::failure::Failure;
use common::name::LegacyName;
use common::record::operation::Operation;

use crate::notice::{self, Details};
use crate::shared::Shared;

/// Ends the request with `failure`. What is returned is a repeat, of itself if nothing else.
pub(super) async fn refused(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
    failure: &Failure,
) -> Result<Acceptance, records::Error> {
    let store = shared.ports.store.as_ref();
    let now = shared.ports.clock.now();
    let mut operation = Operation::accepted(request.fingerprint.clone(), now);
    operation.outcome = Some(notice::failed(failure, &Details::refused(instance, failure)));
    match records::save(store, &request.path(), &operation, None).await {
        Ok(_) => {
            tracing::info!(instance = %instance, request = %request.id, %failure, "refused");
            Ok(Acceptance::Repeat(operation))
        }
        Err(records::Error::Changed) => {
            operations::look_up(store, request).await?.ok_or(records::Error::Changed)
        }
        Err(err) => Err(err),
    }
}
