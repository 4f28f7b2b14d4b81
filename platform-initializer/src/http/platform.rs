//! `/api/v1/platform`: how it is, start, stop; and how a request ended.

use std::time::Duration;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use chassis::operations::Acceptance;
use chassis::records::{self, Stored};
use common::failure::Failure;
use common::id::RequestId;
use common::port::store::Path as StorePath;
use common::record::change::ServiceChange;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::platform::PlatformGoal;
use common::service::ServiceName;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::refusals;
use crate::commands::switch::accept;
use crate::domain::order::PLACEABLE;
use crate::observe::see;
use crate::outcome::{
    MOVE, SCALE, UPGRADE, change_failure, change_told, failure, operation as operation_path,
    service,
};
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
    let (mut services, mut changes) = (Vec::new(), Vec::new());
    for one in PLACEABLE {
        let seen = see(shared, one).await?;
        if seen.placed.is_some() {
            services.push(service(&seen));
        }
        let at = path::service_change(one);
        let change = records::load::<ServiceChange>(shared.ports.store.as_ref(), &at).await;
        changes.extend(records::readable(change)?.map(|stored| change_told(&stored.record)));
    }
    let Some(record) = record else {
        return Ok(json!({ "services": services, "changes": changes }));
    };
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
        "changes": changes,
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
    run(&shared, &request, PlatformGoal::On).await
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
    run(&shared, &request, PlatformGoal::Off).await
}

async fn run(
    shared: &Shared,
    request: &HttpRequest,
    goal: PlatformGoal,
) -> Result<HttpResponse, Refusal> {
    let id = request_id(shared, request).ok_or_else(refusals::key_invalid)?;
    answered(id, switched(shared, id, goal), |outcome| failure(goal, outcome)).await
}

/// `Idempotency-Key`, or a new one; none if the header cannot be used.
pub(super) fn request_id(shared: &Shared, request: &HttpRequest) -> Option<RequestId> {
    match request.headers().get("idempotency-key") {
        Some(key) => key.to_str().ok().and_then(|key| key.parse().ok()),
        None => Some(RequestId(shared.ports.entropy.uuid())),
    }
}

/// How it ended, or where that will be told.
pub(super) async fn answered(
    id: RequestId,
    ending: impl Future<Output = Result<Option<Outcome>, Refusal>>,
    failure: impl FnOnce(&Outcome) -> Failure,
) -> Result<HttpResponse, Refusal> {
    match ending.await? {
        Some(Outcome::Succeeded { details }) => {
            Ok(HttpResponse::Ok().json(json!({ "request_id": id, "details": details })))
        }
        Some(outcome @ (Outcome::Failed { .. } | Outcome::Superseded)) => {
            Err(refusals::of_failure(&failure(&outcome)))
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
    goal: PlatformGoal,
) -> Result<Option<Outcome>, Refusal> {
    awaited(shared, &operation_path(id, goal), accept(shared, id, goal)).await
}

/// The same for a request of any kind, whose outcome stands there.
pub(super) async fn awaited(
    shared: &Shared,
    at: &StorePath,
    accepting: impl Future<Output = Result<Acceptance, Error>>,
) -> Result<Option<Outcome>, Refusal> {
    let deadline = Instant::now() + shared.config.answer_within;
    let mut changes = shared.changes();
    // The same id could not be sent again: the caller is told to, and knows nothing of it otherwise.
    let accepted = timeout(shared.config.answer_within, accepting).await;
    let accepted = accepted.unwrap_or(Err(records::Error::Changed.into()));
    if accepted.map_err(|err| refusals::of(&err))? == Acceptance::Conflict {
        return Err(refusals::key_taken());
    }
    loop {
        changes.mark_unchanged();
        let found = records::load::<Operation>(shared.ports.store.as_ref(), at).await;
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

/// The kinds of requests, as they are told, and as they are accepted.
const KINDS: [(&str, &str); 5] = [
    ("start", "start-platform"),
    ("stop", "stop-platform"),
    ("upgrade", UPGRADE),
    ("move", MOVE),
    ("scale", SCALE),
];

fn failed(kind: &str, outcome: Option<&Outcome>) -> Option<Failure> {
    let is_failed = |outcome: &&Outcome| !matches!(outcome, Outcome::Succeeded { .. });
    outcome.filter(is_failed).map(|outcome| match kind {
        "start" => failure(PlatformGoal::On, outcome),
        "stop" => failure(PlatformGoal::Off, outcome),
        _ => change_failure(outcome),
    })
}

fn details(outcome: Option<&Outcome>) -> Option<&Value> {
    match outcome {
        Some(Outcome::Succeeded { details } | Outcome::Failed { details, .. }) => details.as_ref(),
        Some(Outcome::Superseded) | None => None,
    }
}

/// How a request ended.
pub(super) async fn operation(
    shared: Data<Shared>,
    request: Path<Uuid>,
) -> Result<HttpResponse, Refusal> {
    let id = RequestId(request.into_inner());
    for (kind, accepted_as) in KINDS {
        let at = path::operation(id, ServiceName::PlatformInitializer, accepted_as);
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
            "failure": failed(kind, record.outcome.as_ref()),
            "details": details(record.outcome.as_ref()),
        })));
    }
    Err(refusals::request_unknown())
}
