//! `/api/v1/schedules`, and the schedule of one instance.

mod body;
mod view;

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::http::header::{IF_MATCH, IF_NONE_MATCH};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use common::id::Generation;
use common::name::{AppName, InstanceName, LegacyName};
use common::record::instance::Instance;
use serde_json::{Value, json};

use self::body::Body;
pub(super) use self::body::date_time;
pub(super) use self::view::view;
use super::instances::{one, seen_by};
use super::problems::ApiError;
use super::request::{instance_name, refused, request_id};
use crate::commands::deploy::Name;
use crate::commands::schedule::{Expected, Message13, Wanted};
use crate::commands::{Error, schedule, unschedule};
use crate::context::Context;
use crate::domain::access::{Action, Person};
use crate::domain::schedule::Lateness;
use crate::records::instances;
use crate::records::schedules::{self, Scheduled};

/// The schedules of the instances that a person may see, by instance.
pub(super) async fn seen(
    context: &Context,
    person: &Person,
) -> Result<Vec<(Instance, Scheduled)>, ApiError> {
    let instances = seen_by(context, person).await?;
    let all = schedules::all(context.ports.store.as_ref()).await?;
    let mut by_name: BTreeMap<LegacyName, Scheduled> =
        all.into_iter().map(|one| (one.record.instance.clone(), one.record)).collect();
    let with_schedule = |instance: Instance| {
        let scheduled = by_name.remove(&instance.name).filter(|one| one.wish.is_some())?;
        Some((instance, scheduled))
    };
    Ok(instances.into_iter().filter_map(with_schedule).collect())
}

pub(super) async fn list(context: Data<Context>, person: Person) -> Result<HttpResponse, ApiError> {
    let now = context.ports.clock.now();
    let seen = seen(&context, &person).await?;
    let views: Vec<Value> =
        seen.iter().filter_map(|(instance, one)| view(instance, one, now)).collect();
    Ok(HttpResponse::Ok().json(views))
}

pub(super) async fn show(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let instance = one(&context, &person, &name, Action::SeeInstances).await?;
    answer(&context, &instance, StatusCode::OK).await
}

pub(super) async fn put(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    request: HttpRequest,
    body: Json<Body>,
) -> Result<HttpResponse, ApiError> {
    let instance = name.parse::<InstanceName>().map_err(|err| refused("name", &err))?;
    let name = LegacyName::from(instance.clone());
    let is_known = instances::load(context.ports.store.as_ref(), &name).await?.is_some();
    if is_known {
        one(&context, &person, &name, Action::ChangeInstance).await?;
    }
    let app = instance.app_part().to_string().parse::<AppName>();
    let body = body.into_inner();
    let schedule = body.schedule()?;
    let wanted = Wanted {
        app: app.map_err(|err| refused("name", &err))?,
        instance: Name::Given(instance),
        said: serde_json::to_string(&schedule).unwrap_or_default(),
        schedule,
        lateness: Lateness::Refused,
        release: body.release(),
        replicas: body.replicas(&context)?,
        app_json: None,
        expected: expected(&request)?,
        message_13: Message13::Unsaid,
    };
    let id = request_id(&context, &person, &request)?;
    schedule::schedule(&context, &person, wanted, id).await?;
    let instance = one(&context, &person, &name, Action::SeeInstances).await?;
    answer(&context, &instance, StatusCode::CREATED).await
}

pub(super) async fn remove(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let expected = expected(&request)?;
    let id = request_id(&context, &person, &request)?;
    let accepted = unschedule::unschedule(&context, &person, &name, expected, id).await?;
    let said = json!({ "instance": accepted.instance, "request_id": accepted.request });
    Ok(HttpResponse::Ok().json(said))
}

/// `If-Match: "<number>"` is the tag of the schedule that is there, `If-None-Match: *` says that there is none.
fn expected(request: &HttpRequest) -> Result<Expected, ApiError> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(tag) = header(IF_MATCH) {
        let number = tag.trim().trim_matches('"').parse().ok().map(Generation);
        let wrong = || {
            let detail = "it is the ETag of the schedule, a number in quotes";
            ApiError::field("If-Match", "FIELD_INVALID", detail)
        };
        return number.map(Expected::Generation).ok_or_else(wrong);
    }
    match header(IF_NONE_MATCH) {
        Some("*") => Ok(Expected::Nothing),
        Some(_) | None => Ok(Expected::Anything),
    }
}

/// The schedule of an instance; `first` is the status where it is its first one.
async fn answer(
    context: &Context,
    instance: &Instance,
    first: StatusCode,
) -> Result<HttpResponse, ApiError> {
    let stored = schedules::load(context.ports.store.as_ref(), &instance.name).await?;
    let scheduled = stored.ok_or(Error::ScheduleUnknown)?.record;
    let view = view(instance, &scheduled, context.ports.clock.now());
    let view = view.ok_or(Error::ScheduleUnknown)?;
    let is_first = scheduled.generation == Generation(1);
    let status = if is_first { first } else { StatusCode::OK };
    let tag = format!("\"{}\"", scheduled.generation);
    Ok(HttpResponse::build(status).insert_header(("etag", tag)).json(view))
}
