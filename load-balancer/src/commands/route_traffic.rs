//! Tell what the replicas of an instance were asked lately, and what apps were.

use std::collections::BTreeMap;

use common::failure::FailureCode;
use common::name::LegacyName;
use common::port::edge::Upstream;
use common::port::routes::{RouteTraffic, Visitors};

use super::Error;
use crate::records::route;
use crate::shared::Shared;

/// Refused while the edge's counts are not known, so that nobody takes silence for a release that does well.
pub(crate) async fn run(shared: &Shared, instance: &LegacyName) -> Result<RouteTraffic, Error> {
    if route(&*shared.ports.store, instance).await?.is_none() {
        return Err(Error::failed(FailureCode::UnknownInstance, "the instance has no route"));
    }
    let mut traffic = shared.lately().of(instance).ok_or_else(untold)?;
    let served = shared.served();
    let served = served.borrow();
    // Who is kept from requests as ill is in the route all the same, and what it did is its release's.
    let left_out = served.left_out_of(instance);
    for replica in &mut traffic.replicas {
        let is_it = |one: &Upstream| (one.ip, one.port) == (replica.ip, replica.port);
        replica.is_served |= left_out.iter().any(is_it);
    }
    Ok(traffic)
}

/// Of all apps that are served; refused in the same way.
pub(crate) fn of_apps(shared: &Shared) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
    shared.lately().of_apps().ok_or_else(untold)
}

fn untold() -> Error {
    let why = "the edge does not say what it is asked";
    Error::failed(FailureCode::RouteFailed, why)
}
