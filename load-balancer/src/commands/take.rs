//! Whoever leads has written something that this instance's own edge is to serve as well.

use std::time::Duration;

use common::failure::FailureCode;
use common::name::LegacyName;
use common::port::edge::TakenRoutes;
use tokio::time::Instant;

use super::Error;
use crate::domain::table::Refused;
use crate::shared::Shared;

/// Longer than the leader waits, so that what it gives up is not begun again at once.
const WITHIN: Duration = Duration::from_secs(5);

/// Returns once the own edge serves routes that were read after this was called.
pub(crate) async fn routes(shared: &Shared) -> Result<TakenRoutes, Error> {
    follows(shared)?;
    let (mut served, count) = (shared.served(), shared.records_changed());
    let taken = served.wait_for(|served| served.changes >= count);
    let refused = match shared.wait(Instant::now() + WITHIN, taken).await {
        Some(Ok(served)) => {
            let why = |(instance, refused): (&LegacyName, &Refused)| {
                (instance.clone(), refused.why.to_string())
            };
            served.refused.iter().map(why).collect()
        }
        Some(Err(_)) | None => return Err(not_taken("the table")),
    };
    let ports = shared.front_ports().borrow().clone();
    let ports = ports.ok_or_else(|| not_taken("the table"))?;
    Ok(TakenRoutes { ports, refused })
}

/// The same of certificates.
pub(crate) async fn certificates(shared: &Shared) -> Result<(), Error> {
    follows(shared)?;
    let (mut certified, count) = (shared.certified(), shared.certificates_changed());
    let taken = certified.wait_for(|shown| *shown >= count);
    match shared.wait(Instant::now() + WITHIN, taken).await {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) | None => Err(not_taken("the certificates")),
    }
}

/// Who leads is told by nobody.
fn follows(shared: &Shared) -> Result<(), Error> {
    if shared.seat.epoch().is_some() || shared.pair.is_none() {
        return Err(Error::failed(FailureCode::RouteFailed, "this load balancer follows nobody"));
    }
    Ok(())
}

fn not_taken(what: &str) -> Error {
    Error::failed(FailureCode::RouteFailed, format!("the edge here does not take {what}"))
}
