//! Schedules as document 001 knows them: one start and one end, in local times that name no zone.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use common::name::AppName;
use common::record::instance::Instance;
use common::record::release::App;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::problems::ApiError;
use super::super::request;
use super::super::schedules::{date_time, seen};
use super::deployed_apps::{Deploy, answer, view};
use super::success;
use crate::commands::Error;
use crate::commands::deploy::Name;
use crate::commands::release::visible;
use crate::commands::schedule::{Expected, Message13, Wanted, schedule as record};
use crate::context::Context;
use crate::domain::access::Person;
use crate::domain::schedule::calendar::{Calendar, zone};
use crate::domain::schedule::{Lateness, Schedule, When};
use crate::records::apps;
use crate::records::schedules::Scheduled;

/// How document 001 writes times.
const FORMAT: &str = "%Y-%m-%dT%H:%M";

/// `GET /api/deployedApps/getScheduledApps/`: what waits for its next time.
pub(in crate::http) async fn list(
    context: Data<Context>,
    person: Person,
) -> Result<HttpResponse, ApiError> {
    let zone = zone(&context.config.time_zone).map_err(Error::from)?;
    let seen = seen(&context, &person).await?;
    let apps = apps::all(context.ports.store.as_ref()).await?;
    let apps: BTreeMap<AppName, App> =
        apps.into_iter().map(|app| (app.name.clone(), app)).collect();
    let waiting = |(instance, scheduled): &(Instance, Scheduled)| {
        waiting(instance, apps.get(&instance.app), scheduled, &zone)
    };
    let views: Vec<Value> = seen.iter().filter_map(waiting).collect();
    Ok(success(StatusCode::OK, views, "scheduled apps"))
}

/// None while a window is open, or when none will come.
fn waiting(
    instance: &Instance,
    app: Option<&App>,
    scheduled: &Scheduled,
    zone: &TimeZone,
) -> Option<Value> {
    let wish = scheduled.wish.as_ref().filter(|wish| wish.progress.open.is_none())?;
    let next = wish.progress.upcoming(&Calendar::of(&wish.schedule).ok()?)?;
    let local = |moment: Timestamp| zone.to_datetime(moment).strftime(FORMAT).to_string();
    let mut view = view(instance, app);
    let more = json!({
        "status": "scheduled",
        "startTime": local(next.start),
        "endTime": next.end.map(local),
    });
    if let (Value::Object(view), Value::Object(more)) = (&mut view, more) {
        view.extend(more);
    }
    Some(view)
}

/// `POST /api/deployedApps/scheduleApp/`: one more instance of an app, for some time to come.
pub(in crate::http) async fn schedule(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    body: Json<Deploy>,
) -> Result<HttpResponse, ApiError> {
    if body.start_time.is_none() {
        return Err(ApiError::field("startTime", "FIELD_INVALID", "a schedule needs its start"));
    }
    scheduled(&context, &person, &request, &body).await
}

/// The same for `deployApp` with times: without a start it is now.
pub(super) async fn scheduled(
    context: &Context,
    person: &Person,
    request: &HttpRequest,
    body: &Deploy,
) -> Result<HttpResponse, ApiError> {
    let name = request::app_name(&body.base_app_name)?;
    let app = visible(context, person, &name).await?;
    let app_json = Some(body.app_json(&app)?);
    let times = Times::of(context, body)?;
    let wanted = Wanted {
        app: name,
        instance: Name::WithUuid,
        schedule: times.schedule,
        said: format!("{:?} {:?}", body.start_time, body.end_time),
        lateness: Lateness::Refused,
        release: None,
        replicas: None,
        app_json,
        expected: Expected::Anything,
        message_13: times.message_13,
    };
    let id = request::request_id(context, person, request)?;
    let accepted = record(context, person, wanted, id).await?;
    let message = format!("{} is scheduled", accepted.instance);
    Ok(success(StatusCode::OK, answer(&accepted), &message))
}

/// What the caller's times mean, and whether document 001's message can say them.
struct Times {
    schedule: Schedule,
    message_13: Message13,
}

impl Times {
    fn of(context: &Context, body: &Deploy) -> Result<Self, ApiError> {
        let read = |field: &str, text: &Option<String>| {
            text.as_deref().map(|text| date_time(field, text)).transpose()
        };
        let (start, end) = (read("startTime", &body.start_time)?, read("endTime", &body.end_time)?);
        let is_whole = |time: &DateTime| time.second() == 0;
        let both = start.as_ref().zip(end.as_ref());
        let is_sayable = both.is_some_and(|(start, end)| is_whole(start) && is_whole(end));
        let message_13 = if is_sayable { Message13::Said } else { Message13::Unsaid };
        let name = context.config.time_zone.clone();
        let start = match start {
            Some(start) => start,
            None => {
                let now = zone(&name).map_err(Error::from)?.to_datetime(context.ports.clock.now());
                now.with().subsec_nanosecond(0).build().map_err(|_| ApiError::internal())?
            }
        };
        Ok(Times { schedule: Schedule { zone: name, when: When::Once { start, end } }, message_13 })
    }
}
