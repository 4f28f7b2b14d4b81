//! What every request goes through: an id, one line in the log, who may come in.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use common::port::Entropy as _;
use common::problem::Problem;
use common::service::ServiceName;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use super::refusal::REQUEST_ID;
use super::{Caller, Refusal};
use crate::system::SystemEntropy;

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// What takes longer than this is worth a line even if it went well.
const SLOW: Duration = Duration::from_secs(1);

/// Gives the request its id (a UUID that the caller sent, else a new one) and logs how it ended.
pub(super) async fn trace<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let sent = request.headers().get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let id =
        sent.and_then(|text| Uuid::parse_str(text).ok()).unwrap_or_else(|| SystemEntropy.uuid());
    let id = id.hyphenated().to_string();
    let span = tracing::info_span!("request", request.id = %id, method = %request.method(), path = %request.path());
    let started = Instant::now();
    let answer = async {
        let answer = next.call(request).await;
        let status = match &answer {
            Ok(response) => response.status().as_u16(),
            Err(err) => err.as_response_error().status_code().as_u16(),
        };
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if status >= 500 || started.elapsed() > SLOW {
            tracing::warn!(status, duration_ms, "answered");
        } else {
            tracing::debug!(status, duration_ms, "answered");
        }
        answer
    };
    let mut answer = REQUEST_ID.scope(id.clone(), answer.instrument(span)).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    Ok(answer)
}

/// The services that may use the mutual-TLS listener at all.
#[derive(Debug)]
pub(super) struct Callers(pub(super) Vec<ServiceName>);

/// Tells the routes of the mutual-TLS listener who calls; lets in only who may call any of them.
pub(super) async fn identify<B: MessageBody + 'static>(
    callers: Data<Callers>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(caller) = request.conn_data::<Caller>().copied() {
        request.extensions_mut().insert(caller);
    }
    admit(&callers.0, request, next).await
}

/// Lets in these services only.
pub(super) async fn admit<B: MessageBody + 'static>(
    callers: &[ServiceName],
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let caller = request.extensions().get::<Caller>().copied();
    match caller {
        Some(Caller(service)) if callers.contains(&service) => {
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Some(_) | None => {
            let detail = "the client's certificate is not of a service that may call this";
            let problem =
                Problem::new(403, "CALLER_FORBIDDEN", "This caller may not come in", detail);
            Ok(request.into_response(Refusal(problem).error_response()))
        }
    }
}
