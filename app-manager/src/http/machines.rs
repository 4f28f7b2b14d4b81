//! `/api/v1/machines` and `/api/v1/restarts`: what people ask of the platform's machines, and what they have restarted. The
//! lifecycle manager does it, and says no in its own words: it is asked here, and how a request ends is told by
//! `/api/v1/platform/operations`.

use std::time::Duration;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use common::id::RequestId;
use common::name::NodeName;
use common::port::upkeep::{Addition, Pin, Target};
use common::problem::{Problem, excerpt};
use serde_json::json;

use super::keeper::Keeper;
use super::problems::ApiError;
use super::request::{refused, request_id};
use crate::context::Context;
use crate::domain::access::Person;

/// It reads records, or writes one.
const LIFECYCLE_MANAGER: Keeper = Keeper { answers_within: Duration::from_secs(15), away };
/// The reason is kept while the request waits.
const LONGEST_REASON: usize = 200;

pub(super) async fn list(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(LIFECYCLE_MANAGER.answer(context.ports.upkeep.machines()).await?))
}

pub(super) async fn add(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    body: Json<Addition>,
) -> Result<HttpResponse, ApiError> {
    let (id, addition) = (request_id(&context, &person, &request)?, body.into_inner());
    if !(1..=LONGEST_REASON).contains(&addition.reason.chars().count()) {
        let detail = format!("say in 1 to {LONGEST_REASON} characters why");
        return Err(ApiError::field("reason", "FIELD_INVALID", detail));
    }
    LIFECYCLE_MANAGER.answer(context.ports.upkeep.add(id, &addition)).await?;
    let reason = excerpt(&addition.reason);
    tracing::info!(user = %person.name, request.id = %id, reason, "asked for a machine more");
    Ok(accepted(id))
}

pub(super) async fn remove(
    context: Data<Context>,
    person: Person,
    machine: Path<NodeName>,
) -> Result<HttpResponse, ApiError> {
    LIFECYCLE_MANAGER.answer(context.ports.upkeep.remove(&machine)).await?;
    tracing::info!(user = %person.name, machine = %*machine, "asked for a machine to be taken away");
    Ok(HttpResponse::Accepted().json(json!({ "machine": &*machine })))
}

pub(super) async fn pin(
    context: Data<Context>,
    person: Person,
    machine: Path<NodeName>,
    body: Json<Pin>,
) -> Result<HttpResponse, ApiError> {
    LIFECYCLE_MANAGER.answer(context.ports.upkeep.pin(&machine, &body)).await?;
    tracing::warn!(user = %person.name, machine = %*machine, "pinned a host key");
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn restart(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    of: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (id, (family, name)) = (request_id(&context, &person, &request)?, of.into_inner());
    let target = Target::of(&family, &name).ok_or_else(unknown)?;
    let target = target.map_err(|err| refused("target", &err))?;
    LIFECYCLE_MANAGER.answer(context.ports.upkeep.restart(id, &target)).await?;
    tracing::info!(user = %person.name, request.id = %id, "asked for a restart of {target}");
    Ok(accepted(id))
}

fn accepted(id: RequestId) -> HttpResponse {
    let location = format!("/api/v1/platform/operations/{id}");
    let body = json!({ "request_id": id, "operation": location });
    HttpResponse::Accepted().insert_header(("Location", location)).json(body)
}

fn unknown() -> ApiError {
    let detail = "what can be restarted is one of services, nodes, apps and models";
    ApiError::new(Problem::new(404, "NOT_FOUND", "There is nothing of this kind", detail))
}

fn away() -> Refusal {
    let detail = "no lifecycle manager answers, as between two leaders";
    Refusal::unavailable("LIFECYCLE_UNAVAILABLE", detail)
}
