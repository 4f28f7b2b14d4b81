//! `/api/v1/edge`: what whoever leads asks of the load balancer beside the other edge.

use actix_web::HttpResponse;
use actix_web::web::Data;
use common::failure::FailureCode;
use common::port::edge;
use serde::Serialize;
use serde_json::json;

use super::error::Error;
use crate::commands::{self, take};
use crate::shared::Shared;

pub(super) async fn take_routes(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().json(take::routes(&shared).await?))
}

pub(super) async fn take_certificates(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    take::certificates(&shared).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}

pub(super) async fn in_flight(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    told(shared.ports.edge.in_flight().await)
}

pub(super) async fn traffic(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    told(shared.ports.edge.traffic().await)
}

pub(super) async fn visits(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    told(shared.ports.edge.visits().await)
}

fn told<T: Serialize>(asked: Result<T, edge::Error>) -> Result<HttpResponse, Error> {
    let silent = |err: edge::Error| {
        tracing::debug!(error = &err as &dyn std::error::Error, "the edge here does not tell");
        commands::Error::failed(FailureCode::RouteFailed, err.to_string())
    };
    Ok(HttpResponse::Ok().json(asked.map_err(silent)?))
}
