//! `/api/v1/platform`: whether the platform's services run, starting and stopping them by messages 1 and 3, and upgrading,
//! moving or multiplying one of them by verbs of our own.
//!
//! The platform initializer does it, and this service is among those that it stops: it says so and then ends.

use std::num::NonZeroU16;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::records::{self, Stored};
use common::failure::FailureCode;
use common::id::RequestId;
use common::message::{BootstrapperCommand, Envelope};
use common::name::{LegacyName, NodeName};
use common::port::Store;
use common::problem::Problem;
use common::record::change::ServiceChange;
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::platform::{
    PlacedService, PlatformRecord, RunningInstance, RunningService, ServiceImage,
};
use common::service::ServiceName;
use common::topic::Topic;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problems::ApiError;
use super::request::request_id;
use crate::commands::{Error, send};
use crate::context::Context;
use crate::domain::access::Person;
use crate::domain::hints::{hint, hint_of_upkeep};

const CONFIRMATION: &str = "stop platform";

/// What the records of the platform initializer and the lifecycle manager say.
pub(super) async fn show(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    let store = context.ports.store.as_ref();
    let record = records::load::<PlatformRecord>(store, &path::platform()).await?;
    let record = record.map(|stored| stored.record);
    let (mut services, mut changes) = (Vec::new(), Vec::new());
    for service in ServiceName::ALL {
        services.extend(show_service(store, service).await?);
        let change = records::load::<ServiceChange>(store, &path::service_change(service)).await;
        changes.extend(records::readable(change)?.map(|stored| show_change(&stored.record)));
    }
    let Some(record) = record else {
        return Ok(HttpResponse::Ok().json(json!({ "services": services, "changes": changes })));
    };
    Ok(HttpResponse::Ok().json(json!({
        "goal": record.goal,
        "state": record.state,
        "since": record.since,
        "request_id": record.request,
        "service": record.stage.map(|stage| stage.service.registry_name()),
        "failure": record.failure,
        "services": services,
        "changes": changes,
    })))
}

/// The newest change of a service that was asked for.
fn show_change(change: &ServiceChange) -> Value {
    json!({
        "service": change.service.registry_name(),
        "change": change.change,
        "stage": change.stage,
        "since": change.since,
        "request_id": change.request,
        "failure": change.failure,
    })
}

async fn show_service(
    store: &dyn Store,
    service: ServiceName,
) -> Result<Option<Value>, records::Error> {
    let placed = records::load::<PlacedService>(store, &path::placed_service(service)).await?;
    let running = records::load::<RunningService>(store, &path::running_service(service)).await?;
    if placed.is_none() && running.is_none() {
        return Ok(None);
    }
    let instance = |one: RunningInstance| {
        json!({
            "node": one.node,
            "address": one.address.to_string(),
            "state": one.state,
            "image": one.image,
            "failure": one.failure,
            "since": one.since,
        })
    };
    let running = running.map(|stored| stored.record);
    let backed_out = running.as_ref().and_then(|running| running.backed_out.clone());
    let instances = running.map(|running| running.instances).unwrap_or_default();
    let placed = placed.map(|Stored { record, .. }| record);
    Ok(Some(json!({
        "service": service.registry_name(),
        "goal": placed.as_ref().map(|placed| placed.goal),
        "nodes": placed.as_ref().map(|placed| placed.nodes.clone()).unwrap_or_default(),
        "image": placed.and_then(|placed| placed.image),
        "backed_out": backed_out,
        "instances": instances.into_iter().map(instance).collect::<Vec<_>>(),
    })))
}

/// Nothing is said about it but that it is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {}

pub(super) async fn start(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    _body: Json<Start>,
) -> Result<HttpResponse, ApiError> {
    switch(&context, &person, &request, BootstrapperCommand::Start).await
}

/// A stop is confirmed in words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    confirm: String,
}

pub(super) async fn stop(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    body: Json<Stop>,
) -> Result<HttpResponse, ApiError> {
    if body.confirm != CONFIRMATION {
        let detail = "to stop the platform, send {\"confirm\": \"stop platform\"}";
        return Err(ApiError::field("confirm", "FIELD_INVALID", detail));
    }
    switch(&context, &person, &request, BootstrapperCommand::Stop).await
}

/// Another version of one service; null for the platform's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upgrade {
    image: Option<ServiceImage>,
}

pub(super) async fn upgrade(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    service: Path<LegacyName>,
    body: Json<Upgrade>,
) -> Result<HttpResponse, ApiError> {
    let (service, image) = (service.into_inner(), body.into_inner().image);
    let command = BootstrapperCommand::UpgradeService { service, image };
    switch(&context, &person, &request, command).await
}

/// One of its instances on another machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    from: NodeName,
    to: NodeName,
}

pub(super) async fn relocate(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    service: Path<LegacyName>,
    body: Json<Move>,
) -> Result<HttpResponse, ApiError> {
    let (service, Move { from, to }) = (service.into_inner(), body.into_inner());
    let command = BootstrapperCommand::MoveService { service, from, to };
    switch(&context, &person, &request, command).await
}

/// So many instances of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scale {
    instances: NonZeroU16,
}

pub(super) async fn scale(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    service: Path<LegacyName>,
    body: Json<Scale>,
) -> Result<HttpResponse, ApiError> {
    let (service, instances) = (service.into_inner(), body.instances);
    let command = BootstrapperCommand::ScaleService { service, instances };
    switch(&context, &person, &request, command).await
}

async fn switch(
    context: &Context,
    person: &Person,
    request: &HttpRequest,
    command: BootstrapperCommand,
) -> Result<HttpResponse, ApiError> {
    let id = request_id(context, person, request)?;
    let initializers = path::leaders(ServiceName::PlatformInitializer);
    if context.ports.store.children(&initializers).await?.is_empty() {
        return Err(absent());
    }
    let envelope = Envelope {
        to_topic: Topic::Bootstrapper,
        from_topic: Topic::FirstTopic,
        request_id: id,
        msg: command.encode(),
    };
    send::send(context, &envelope, None).await?;
    tracing::info!(user = %person.name, request.id = %id, "asked for: {}", command.encode());
    let location = format!("/api/v1/platform/operations/{id}");
    let body = json!({ "request_id": id, "operation": location });
    Ok(HttpResponse::Accepted().insert_header(("Location", location)).json(body))
}

fn absent() -> ApiError {
    let detail = "no platform initializer runs: this platform is started and stopped as one";
    let problem = Problem::new(409, "INITIALIZER_ABSENT", "Nobody could do it", detail);
    let hint = "`avishkar up` and `avishkar down` start and end a platform of one machine";
    ApiError::new(problem.hint(hint))
}

const INITIALIZER: ServiceName = ServiceName::PlatformInitializer;
const LIFECYCLE: ServiceName = ServiceName::LifecycleManager;
/// What to do next about a failure.
type Hint = fn(FailureCode) -> &'static str;
/// The kinds of requests, as they are told, and as who does them accepts them.
const KINDS: [(&str, ServiceName, &str, Hint); 10] = [
    ("start", INITIALIZER, "start-platform", hint),
    ("stop", INITIALIZER, "stop-platform", hint),
    ("upgrade", INITIALIZER, "upgrade-service", hint),
    ("move", INITIALIZER, "move-service", hint),
    ("scale", INITIALIZER, "scale-service", hint),
    ("restart", LIFECYCLE, "restart-service", hint_of_upkeep),
    ("restart", LIFECYCLE, "restart-node", hint_of_upkeep),
    ("restart", LIFECYCLE, "restart-app", hint),
    ("restart", LIFECYCLE, "restart-model", hint),
    ("add", LIFECYCLE, "need-node", hint_of_upkeep),
];

/// How a request to start, stop, restart or change something ended.
pub(super) async fn operation(
    context: Data<Context>,
    request: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let store = context.ports.store.as_ref();
    let id: RequestId = request.parse().map_err(|_| Error::RequestUnknown)?;
    for (kind, service, accepted_as, hint) in KINDS {
        let at = path::operation(id, service, accepted_as);
        let Some(stored) = records::load::<Operation>(store, &at).await? else { continue };
        return Ok(HttpResponse::Ok().json(view(id, kind, &stored.record, hint)));
    }
    Err(Error::RequestUnknown.into())
}

fn view(id: RequestId, kind: &str, operation: &Operation, hint: Hint) -> Value {
    let (status, failure, details) = match &operation.outcome {
        None => ("accepted", None, None),
        Some(Outcome::Succeeded { details }) => ("succeeded", None, details.as_ref()),
        Some(Outcome::Failed { failure, details }) => {
            let (code, message) = (failure.code, &failure.message);
            let failure = json!({ "code": code, "message": message, "hint": hint(code) });
            ("failed", Some(failure), details.as_ref())
        }
        Some(Outcome::Superseded) => ("superseded", None, None),
    };
    json!({
        "request_id": id,
        "kind": kind,
        "status": status,
        "accepted_at": operation.accepted_at,
        "failure": failure,
        "details": details,
    })
}
