//! `/api/v1/routes`: set, remove, probe, tell the traffic of, list. `/api/v1/traffic`: that of all apps.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Query};
use common::id::Generation;
use common::name::LegacyName;
use common::port::routes::{Probed, WantedRoute};
use common::record::route::Route;
use serde::Deserialize;
use serde_json::json;

use super::error::Error;
use crate::commands::{probe_route, remove_route, route_traffic, set_route};
use crate::records::routes;
use crate::shared::Shared;

pub(super) async fn set(
    shared: Data<Shared>,
    wanted: Json<WantedRoute>,
) -> Result<HttpResponse, Error> {
    let routed = set_route::run(&shared, &wanted).await?;
    Ok(HttpResponse::Ok().json(routed))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    generation: Generation,
}

pub(super) async fn remove(
    shared: Data<Shared>,
    instance: Path<LegacyName>,
    removal: Query<Removal>,
) -> Result<HttpResponse, Error> {
    remove_route::run(&shared, &instance, removal.generation).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    path: String,
}

pub(super) async fn probe(
    shared: Data<Shared>,
    instance: Path<LegacyName>,
    probe: Query<Probe>,
) -> Result<HttpResponse, Error> {
    let status = probe_route::run(&shared, &instance, &probe.path).await?;
    Ok(HttpResponse::Ok().json(Probed { status }))
}

pub(super) async fn traffic(
    shared: Data<Shared>,
    instance: Path<LegacyName>,
) -> Result<HttpResponse, Error> {
    let traffic = route_traffic::run(&shared, &instance).await?;
    Ok(HttpResponse::Ok().json(traffic))
}

pub(super) async fn visitors(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().json(route_traffic::of_apps(&shared)?))
}

pub(super) async fn list(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    let all = routes(&shared).await?;
    let all: Vec<Route> = all.values().map(|stored| stored.record.clone()).collect();
    Ok(HttpResponse::Ok().json(json!({ "routes": all })))
}
