//! Requests over HTTP: the id that makes a repeat known, what is answered at once, and how one ended.

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use chassis::operations::{Acceptance, Request};
use chassis::records;
use common::id::RequestId;
use common::problem::Problem;
use common::record::operation::{Operation, Outcome, fingerprint};
use common::record::path;
use common::service::ServiceName;
use common::topic::Topic;
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::refusals::{No, failed, of_records};
use crate::shared::Shared;

/// What a request may be about.
const KINDS: [&str; 5] =
    ["restart-service", "restart-node", "restart-app", "restart-model", "need-node"];
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A request that comes over HTTP.
pub(super) fn request(
    shared: &Shared,
    http: &HttpRequest,
    kind: &'static str,
    what: &str,
) -> Result<Request, No> {
    Ok(request_of(request_id(shared, http)?, kind, what))
}

/// `Idempotency-Key` is a UUID: under the same one the same request is a repeat.
pub(super) fn request_id(shared: &Shared, http: &HttpRequest) -> Result<RequestId, No> {
    let key = http.headers().get("idempotency-key").map(|value| value.to_str().ok());
    match key {
        None => Ok(RequestId(shared.ports.entropy.uuid())),
        Some(text) => text.and_then(|text| text.parse().ok()).ok_or(No::KeyInvalid),
    }
}

/// The request of somebody who waits for no message.
pub(super) fn request_of(id: RequestId, kind: &'static str, what: &str) -> Request {
    let fingerprint = fingerprint(Topic::LifecycleManager, &format!("http {kind} {what}"));
    Request { id, service: ServiceName::LifecycleManager, kind, fingerprint }
}

/// A request id stands for one request.
pub(crate) fn taken(acceptance: &Acceptance) -> Result<(), No> {
    match acceptance {
        Acceptance::Fresh | Acceptance::Repeat(_) => Ok(()),
        Acceptance::Conflict => Err(No::KeyUsed),
    }
}

/// 202 and where to look for its end.
pub(super) fn accepted(request: &Request, acceptance: &Acceptance) -> Result<HttpResponse, No> {
    taken(acceptance)?;
    let location = format!("/api/v1/requests/{}/{}", request.kind, request.id);
    let body = json!({ "request": request.id, "kind": request.kind });
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(body))
}

/// A request as it is told.
#[derive(Debug, Serialize)]
struct Told {
    request: RequestId,
    kind: &'static str,
    #[serde(flatten)]
    operation: Operation,
}

/// `GET /api/v1/requests/{kind}/{request}`.
pub(super) async fn show(
    shared: Data<Shared>,
    of: Path<(String, RequestId)>,
) -> Result<HttpResponse, Refusal> {
    let (kind, request) = of.into_inner();
    let kind = KINDS.into_iter().find(|known| *known == kind);
    let unknown = || {
        let detail = "no request has this kind and id, or it is older than eight days";
        Refusal(Problem::new(404, "REQUEST_UNKNOWN", "There is no such request", detail))
    };
    let kind = kind.ok_or_else(unknown)?;
    let operation = operation(&shared, request, kind).await?.ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().json(Told { request, kind, operation }))
}

async fn operation(
    shared: &Shared,
    request: RequestId,
    kind: &str,
) -> Result<Option<Operation>, Refusal> {
    let at = path::operation(request, ServiceName::LifecycleManager, kind);
    let stored = records::load::<Operation>(shared.ports.store.as_ref(), &at).await;
    Ok(stored.map_err(|err| of_records(&err))?.map(|stored| stored.record))
}

/// Document 000's callers wait: `ok` when it is done, what failed if it failed, 202 where it takes longer.
pub(super) async fn awaited(
    shared: &Shared,
    request: &Request,
    acceptance: &Acceptance,
    within: Duration,
) -> Result<HttpResponse, Refusal> {
    let later = accepted(request, acceptance)?;
    let until = Instant::now() + within;
    while Instant::now() < until {
        let operation = operation(shared, request.id, request.kind).await?;
        match operation.and_then(|operation| operation.outcome) {
            None => sleep(LOOK_EVERY).await,
            Some(Outcome::Succeeded { .. }) => return Ok(ok()),
            Some(Outcome::Failed { failure, .. }) => return Err(failed(&failure)),
            Some(Outcome::Superseded) => {
                let detail = "a newer request took its place";
                let problem = Problem::new(409, "SUPERSEDED", "The request failed", detail);
                return Err(Refusal(problem));
            }
        }
    }
    Ok(later)
}

/// Document 000's way to say yes.
pub(super) fn ok() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok")
}
