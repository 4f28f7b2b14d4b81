//! `/api/v1/certificates`: set, list, remove.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use common::name::HostName;
use common::port::authority::Papers;
use serde_json::json;

use super::error::Error;
use crate::commands::certificates;
use crate::shared::Shared;

pub(super) async fn set(
    shared: Data<Shared>,
    host: Path<HostName>,
    papers: Json<Papers>,
) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().json(certificates::set(&shared, &host, &papers).await?))
}

pub(super) async fn list(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    Ok(HttpResponse::Ok().json(certificates::list(&shared).await?))
}

pub(super) async fn remove(
    shared: Data<Shared>,
    host: Path<HostName>,
) -> Result<HttpResponse, Error> {
    certificates::remove(&shared, &host).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}
