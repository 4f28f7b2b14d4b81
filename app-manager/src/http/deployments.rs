//! Asking for something of an instance: deploy, scale, stop. Each is accepted at once and ends later.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use common::id::{ReleaseNumber, RequestId};
use common::name::{InstanceName, LegacyName};
use common::record::course::Share;
use serde::{Deserialize, Serialize};

use super::problems::ApiError;
use super::request::{app_name, instance_name, refused, request_id};
use crate::commands::deploy::{self, Name, Wish};
use crate::commands::{Accepted, Error, scale, stop};
use crate::context::Context;
use crate::domain::access::Person;
use crate::domain::settings;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deploy {
    instance: Option<String>,
    release: Option<u32>,
    replicas: Option<i64>,
    canary: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scale {
    replicas: i64,
}

pub(super) async fn deploy(
    context: Data<Context>,
    person: Person,
    app: Path<String>,
    request: HttpRequest,
    body: Json<Deploy>,
) -> Result<HttpResponse, ApiError> {
    let Deploy { instance, release, replicas, canary } = body.into_inner();
    let instance = match instance {
        Some(name) => {
            Name::Given(name.parse::<InstanceName>().map_err(|err| refused("instance", &err))?)
        }
        None => Name::Usual,
    };
    let wish = Wish {
        app: app_name(&app)?,
        instance,
        release: release.map(ReleaseNumber),
        replicas: replicas.map(|count| replica_count(&context, count)).transpose()?,
        canary: canary.map(Share::try_from).transpose().map_err(Error::from)?,
        app_json: None,
    };
    let id = request_id(&context, &person, &request)?;
    Ok(answer(&deploy::deploy(&context, &person, wish, id).await?))
}

pub(super) async fn scale(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    request: HttpRequest,
    body: Json<Scale>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let replicas = replica_count(&context, body.replicas)?;
    let id = request_id(&context, &person, &request)?;
    Ok(answer(&scale::scale(&context, &person, &name, replicas, id).await?))
}

pub(super) async fn stop(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let id = request_id(&context, &person, &request)?;
    Ok(answer(&stop::stop(&context, &person, &name, id).await?))
}

pub(super) fn replica_count(context: &Context, count: i64) -> Result<u32, Error> {
    settings::replicas(count, &context.config.bounds)
        .map_err(|source| Error::Setting { field: "replicas", source })
}

#[derive(Debug, Serialize)]
struct View<'a> {
    instance: &'a LegacyName,
    request_id: RequestId,
    /// `bus` while the request's message has not been taken by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<&'static str>,
}

pub(super) fn answer(accepted: &Accepted) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, format!("/api/v1/operations/{}", accepted.request)))
        .json(View {
            instance: &accepted.instance,
            request_id: accepted.request,
            waiting_for: accepted.waits_for_bus.then_some("bus"),
        })
}
