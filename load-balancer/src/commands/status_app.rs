//! `status app$<instance>`: what the load balancer knows of an instance, as JSON.

use std::net::SocketAddr;

use chassis::operations::{Acceptance, Request};
use common::failure::{Failure, FailureCode};
use common::name::LegacyName;
use common::port::edge::Upstream;
use common::record::operation::Outcome;
use serde_json::{Value, json};

use super::Error;
use super::inbox::accept_ended;
use crate::records::{route, scale};
use crate::shared::Shared;

pub(super) async fn run(
    shared: &Shared,
    request: &Request,
    instance: &LegacyName,
) -> Result<Acceptance, Error> {
    let end = match status(shared, instance).await? {
        Some(status) => Outcome::Succeeded { details: Some(status) },
        None => {
            let failure = Failure::new(FailureCode::UnknownInstance, "the instance has no route");
            Outcome::Failed { failure, details: None }
        }
    };
    accept_ended(shared, request, end).await
}

async fn status(shared: &Shared, instance: &LegacyName) -> Result<Option<Value>, Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    let Some(route) = route(store, instance).await? else { return Ok(None) };
    let route = route.record;
    let wanted = scale(store, instance).await?.map(|scale| scale.record.replicas);
    let served = shared.served();
    let is_served = served.borrow().routes.contains_key(instance);
    let addresses = |upstreams: &[Upstream]| -> Vec<SocketAddr> {
        upstreams.iter().map(Upstream::address).collect()
    };
    Ok(Some(json!({
        "endpoint": SocketAddr::new(shared.config.advertised_ip, route.front_port),
        "host": route.host,
        "served": is_served,
        "replicas": addresses(&route.upstreams),
        "leaving": addresses(&route.leaving),
        "wanted_replicas": wanted,
    })))
}
