//! Ask an app through its front door.

use common::failure::FailureCode;
use common::name::LegacyName;
use common::port::edge;

use super::Error;
use crate::domain::route::Invalid;
use crate::records::route;
use crate::shared::Shared;

/// What a path may have at most.
const MAX_PATH: usize = 1024;

/// The status the app behind the front door answers with, if it answers.
pub(crate) async fn run(
    shared: &Shared,
    instance: &LegacyName,
    path: &str,
) -> Result<Option<u16>, Error> {
    let is_path = path.len() <= MAX_PATH
        && path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path {
        return Err(Error::Invalid(Invalid::Path));
    }
    let Some(stored) = route(&*shared.ports.store, instance).await? else {
        return Err(Error::failed(FailureCode::UnknownInstance, "the instance has no route"));
    };
    let probe = shared.edge.probe(stored.record.front_port, path).await;
    probe.map_err(|err| match err {
        edge::Error::Unavailable(_)
        | edge::Error::Ended
        | edge::Error::Stale { .. }
        | edge::Error::Without { .. }
        | edge::Error::Refused { .. } => Error::failed(FailureCode::RouteFailed, err.to_string()),
    })
}
