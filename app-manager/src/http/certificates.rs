//! `/api/v1/certificates`: of host names. The load balancer keeps them, and says no in its own words: it is asked here, and
//! nothing of a key stays.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use chassis::http::Refusal;
use common::name::HostName;
use common::port::authority::Papers;

use super::keeper::Keeper;
use super::problems::ApiError;
use crate::context::Context;

/// It waits up to 15 s for the edge.
const LOAD_BALANCER: Keeper = Keeper { answers_within: Duration::from_secs(25), away };

pub(super) async fn list(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(LOAD_BALANCER.answer(context.ports.certificates.list()).await?))
}

pub(super) async fn set(
    context: Data<Context>,
    host: Path<HostName>,
    papers: Json<Papers>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok()
        .json(LOAD_BALANCER.answer(context.ports.certificates.set(&host, &papers)).await?))
}

pub(super) async fn remove(
    context: Data<Context>,
    host: Path<HostName>,
) -> Result<HttpResponse, ApiError> {
    LOAD_BALANCER.answer(context.ports.certificates.remove(&host)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn away() -> Refusal {
    Refusal::unavailable("ROUTE_FAILED", "the load balancer does not answer")
}
