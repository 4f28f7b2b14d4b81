//! `/api/v1/platform`: how it is, start, stop; and how a request ended.

use std::time::Duration;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use chassis::operations::Acceptance;
use chassis::records::{self, Stored};
use common::failure::Failure;
use common::id::RequestId;
use common::message::BootstrapperCommand;
use common::record::operation::{Operation, Outcome};
use common::record::platform::PlatformGoal;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::refusals;
use crate::commands::switch::accept;
use crate::domain::order::PLACEABLE;
use crate::observe::see;
use crate::outcome::{failure, goal, operation as operation_path, service};
use crate::records::{Error, platform};
use crate::shared::Shared;

/// How often the outcome is looked for, besides after every write of this instance.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const CONFIRMATION: &str = "stop platform";

pub(super) async fn read(shared: Data<Shared>) -> Result<HttpResponse, Refusal> {
    told(&shared).await.map(|told| HttpResponse::Ok().json(told)).map_err(|err| refusals::of(&err))
}

async fn told(shared: &Shared) -> Result<Value, Error> {
    let record = platform(shared).await?.map(|stored| stored.record);
    let mut services = Vec::new();
    for one in PLACEABLE {
        let seen = see(shared, one).await?;
        if seen.placed.is_some() {
            services.push(service(&seen));
        }
    }
    let Some(record) = record else { return Ok(json!({ "services": services })) };
    Ok(json!({
        "goal": record.goal,
        "state": record.state,
        "generation": record.generation,
        "since": record.since,
        "request_id": record.request,
        "service": record.stage.map(|stage| stage.service.registry_name()),
        "failure": record.failure,
        "reached": record.reached,
        "services": services,
    }))
}

/// An empty object: a web page of somebody else's cannot send one without being asked who it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {}

pub(super) async fn start(
    shared: Data<Shared>,
    request: HttpRequest,
    _body: Json<Start>,
) -> Result<HttpResponse, Refusal> {
    run(&shared, &request, BootstrapperCommand::Start).await
}

/// A stop is confirmed in words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    confirm: String,
}

pub(super) async fn stop(
    shared: Data<Shared>,
    request: HttpRequest,
    body: Json<Stop>,
) -> Result<HttpResponse, Refusal> {
    if body.confirm != CONFIRMATION {
        return Err(refusals::unconfirmed());
    }
    run(&shared, &request, BootstrapperCommand::Stop).await
}

async fn run(
    shared: &Shared,
    request: &HttpRequest,
    command: BootstrapperCommand,
) -> Result<HttpResponse, Refusal> {
    let id = match request.headers().get("idempotency-key") {
        Some(key) => {
            let key = key.to_str().ok().and_then(|key| key.parse().ok());
            key.ok_or_else(refusals::key_invalid)?
        }
        None => RequestId(shared.ports.entropy.uuid()),
    };
    match switched(shared, id, command).await? {
        Some(Outcome::Succeeded { details }) => {
            Ok(HttpResponse::Ok().json(json!({ "request_id": id, "details": details })))
        }
        Some(outcome @ (Outcome::Failed { .. } | Outcome::Superseded)) => {
            Err(refusals::of_failure(&failure(goal(command), &outcome)))
        }
        None => {
            let location = format!("/api/v1/platform/operations/{id}");
            let body = json!({ "request_id": id, "operation": location });
            Ok(HttpResponse::Accepted().insert_header(("Location", location)).json(body))
        }
    }
}

/// Records what is asked for and waits a bounded time for how it ends; none if it has not ended by then.
pub(super) async fn switched(
    shared: &Shared,
    id: RequestId,
    command: BootstrapperCommand,
) -> Result<Option<Outcome>, Refusal> {
    let deadline = Instant::now() + shared.config.answer_within;
    let mut changes = shared.changes();
    // The same id could not be sent again: the caller is told to, and knows nothing of it otherwise.
    let accepted = timeout(shared.config.answer_within, accept(shared, id, command)).await;
    let accepted = accepted.unwrap_or(Err(records::Error::Changed.into()));
    if accepted.map_err(|err| refusals::of(&err))? == Acceptance::Conflict {
        return Err(refusals::key_taken());
    }
    let at = operation_path(id, goal(command));
    loop {
        changes.mark_unchanged();
        let found = records::load::<Operation>(shared.ports.store.as_ref(), &at).await;
        let found = found.map_err(|err| refusals::of(&err.into()))?;
        if let Some(outcome) = found.and_then(|found| found.record.outcome) {
            return Ok(Some(outcome));
        }
        let next_look = deadline.min(Instant::now() + LOOK_EVERY);
        // Somebody wrote, or it is time to look again: both are the same.
        drop(timeout_at(next_look, changes.changed()).await);
        if Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

fn failed(goal: PlatformGoal, outcome: Option<&Outcome>) -> Option<Failure> {
    let is_failed = |outcome: &&Outcome| !matches!(outcome, Outcome::Succeeded { .. });
    outcome.filter(is_failed).map(|outcome| failure(goal, outcome))
}

fn details(outcome: Option<&Outcome>) -> Option<&Value> {
    match outcome {
        Some(Outcome::Succeeded { details } | Outcome::Failed { details, .. }) => details.as_ref(),
        Some(Outcome::Superseded) | None => None,
    }
}

/// How a request to start or stop ended.
pub(super) async fn operation(
    shared: Data<Shared>,
    request: Path<Uuid>,
) -> Result<HttpResponse, Refusal> {
    let id = RequestId(request.into_inner());
    for (goal, kind) in [(PlatformGoal::On, "start"), (PlatformGoal::Off, "stop")] {
        let at = operation_path(id, goal);
        let found = records::load::<Operation>(shared.ports.store.as_ref(), &at).await;
        let found = found.map_err(|err| refusals::of(&err.into()))?;
        let Some(Stored { record, .. }) = found else { continue };
        let status = match &record.outcome {
            None => "accepted",
            Some(Outcome::Succeeded { .. }) => "succeeded",
            Some(Outcome::Failed { .. }) => "failed",
            Some(Outcome::Superseded) => "superseded",
        };
        return Ok(HttpResponse::Ok().json(json!({
            "request_id": id,
            "kind": kind,
            "status": status,
            "accepted_at": record.accepted_at,
            "failure": failed(goal, record.outcome.as_ref()),
            "details": details(record.outcome.as_ref()),
        })));
    }
    Err(refusals::request_unknown())
}
