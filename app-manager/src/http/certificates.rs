//! `/api/v1/certificates`: of host names. The load balancer keeps them, and says no in its own words: it is asked here, and
//! nothing of a key stays.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use chassis::http::Refusal;
use common::name::HostName;
use common::port::authority::Papers;
use common::port::certificates::Error;
use tokio::time::timeout;

use super::problems::ApiError;
use crate::context::Context;

/// The load balancer waits up to 15 s for the edge.
const ANSWERS_WITHIN: Duration = Duration::from_secs(25);

pub(super) async fn list(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(within(context.ports.certificates.list()).await?))
}

pub(super) async fn set(
    context: Data<Context>,
    host: Path<HostName>,
    papers: Json<Papers>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(within(context.ports.certificates.set(&host, &papers)).await?))
}

pub(super) async fn remove(
    context: Data<Context>,
    host: Path<HostName>,
) -> Result<HttpResponse, ApiError> {
    within(context.ports.certificates.remove(&host)).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn within<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, ApiError> {
    match timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Error::Refused(problem))) => Err(ApiError::new(*problem)),
        Ok(Err(err @ Error::Unavailable(_))) => {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "certificates cannot be asked for"
            );
            Err(absent())
        }
        Err(_) => Err(absent()),
    }
}

fn absent() -> ApiError {
    ApiError::new(Refusal::unavailable("ROUTE_FAILED", "the load balancer does not answer").0)
}
