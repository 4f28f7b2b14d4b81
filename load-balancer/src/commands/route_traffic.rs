//! Tell what the replicas of an instance were asked lately.

use common::failure::FailureCode;
use common::name::LegacyName;
use common::port::routes::RouteTraffic;

use super::Error;
use crate::records::route;
use crate::shared::Shared;

/// Refused while the edge's counts are not known, so that nobody takes silence for a release that does well.
pub(crate) async fn run(shared: &Shared, instance: &LegacyName) -> Result<RouteTraffic, Error> {
    if route(&*shared.ports.store, instance).await?.is_none() {
        return Err(Error::failed(FailureCode::UnknownInstance, "the instance has no route"));
    }
    let told = shared.lately().of(instance);
    told.ok_or_else(|| {
        let why = "the edge does not say what it is asked";
        Error::failed(FailureCode::RouteFailed, why)
    })
}
