//! `POST /api/v1/apps/{app}/releases`: of a bundle, or of an image.

use std::collections::BTreeMap;

use actix_multipart::Multipart;
use actix_web::http::StatusCode;
use actix_web::http::header::{IF_MATCH, IF_NONE_MATCH, LOCATION};
use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use common::digest::ImageRef;
use common::id::ReleaseNumber;
use common::record::release::Strategy;
use serde::Deserialize;

use super::apps::{etag, release_view};
use super::problems::ApiError;
use super::request::app_name_to_make;
use super::upload;
use crate::bundle::manifest::{Amount, Cores};
use crate::commands::Error;
use crate::commands::release::{self, Expected, Made};
use crate::context::Context;
use crate::domain::access::Person;
use crate::domain::edge;
use crate::domain::scaling::{self, Written};
use crate::domain::settings::{self, Settings};

/// A release of an image that exists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromImage {
    image: String,
    port: Option<i64>,
    health: Option<String>,
    env: Option<BTreeMap<String, String>>,
    memory: Option<Amount>,
    cpus: Option<Cores>,
    replicas: Option<i64>,
    placement: Option<Strategy>,
    scaling: Option<Written>,
    edge: Option<edge::Written>,
    read_only: Option<bool>,
}

pub(super) async fn from_bundle(
    context: Data<Context>,
    person: Person,
    app: Path<String>,
    request: HttpRequest,
    payload: Multipart,
) -> Result<HttpResponse, ApiError> {
    let app = app_name_to_make(&context, &app).await.map_err(ApiError::closing)?;
    let expected = expected(&request).map_err(ApiError::closing)?;
    let received = upload::receive(&context, &request, payload, "bundle").await?;
    let made = release::from_bundle(&context, &person, &app, received.upload, expected).await;
    upload::count(&context, &made);
    Ok(answer(&made?))
}

pub(super) async fn from_image(
    context: Data<Context>,
    person: Person,
    app: Path<String>,
    body: Json<FromImage>,
) -> Result<HttpResponse, ApiError> {
    let app = app_name_to_make(&context, &app).await?;
    let body = body.into_inner();
    let image = body.image.parse::<ImageRef>();
    let image = image.map_err(|err| Error::ImageNotAllowed(err.to_string()))?;
    let settings = body.settings(&context)?;
    Ok(answer(&release::from_image(&context, &person, &app, image, settings).await?))
}

impl FromImage {
    fn settings(self, context: &Context) -> Result<Settings, Error> {
        let bounds = &context.config.bounds;
        let wrong = |field| move |source| Error::Setting { field, source };
        let mut settings = Settings::new(bounds);
        if let Some(port) = self.port {
            settings.port = settings::port(port).map_err(wrong("port"))?;
        }
        if let Some(path) = self.health {
            settings.health_path = Some(settings::health_path(&path).map_err(wrong("health"))?);
        }
        if let Some(env) = self.env {
            settings.environment = settings::environment(env).map_err(wrong("env"))?;
        }
        if let Some(memory) = self.memory {
            let bytes = settings::memory(&memory.text(), bounds).map_err(wrong("memory"))?;
            settings.limits.memory_bytes = bytes;
        }
        if let Some(cpus) = self.cpus {
            let millis = settings::cpus(cpus.number(), bounds).map_err(wrong("cpus"))?;
            settings.limits.cpu_millis = millis;
        }
        if let Some(count) = self.replicas {
            let count = settings::replicas(count, bounds).map_err(wrong("replicas"))?;
            settings.replicas = Some(count);
        }
        if let Some(written) = self.scaling {
            let scaling = scaling::scaling(&written, bounds).map_err(wrong("scaling"))?;
            let hours = scaling::hours(&written, &scaling, bounds);
            settings.hours = hours.map_err(wrong("scaling"))?;
            scaling::check_replicas(settings.replicas, &scaling).map_err(wrong("replicas"))?;
            settings.scaling = Some(scaling);
        }
        if let Some(written) = self.edge {
            settings.edge = edge::options(written).map_err(wrong("edge"))?;
        }
        settings.placement = self.placement;
        settings.read_only = self.read_only.unwrap_or(false);
        Ok(settings)
    }
}

/// `If-Match: "<number>"` names the release to build upon, `If-None-Match: *` says that the app is new.
fn expected(request: &HttpRequest) -> Result<Expected, ApiError> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(tag) = header(IF_MATCH) {
        let number = tag.trim().trim_matches('"').parse().ok().map(ReleaseNumber);
        let wrong = || {
            let detail = "it is the number of the app's newest release, in quotes";
            ApiError::field("If-Match", "FIELD_INVALID", detail)
        };
        return number.map(Expected::Newest).ok_or_else(wrong);
    }
    match header(IF_NONE_MATCH) {
        Some("*") => Ok(Expected::NoApp),
        Some(_) | None => Ok(Expected::Anything),
    }
}

fn answer(made: &Made) -> HttpResponse {
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let release = &made.release.release;
    let location = format!("/api/v1/apps/{}/releases", release.app);
    HttpResponse::build(status)
        .insert_header((LOCATION, location))
        .insert_header(("etag", etag(&made.app)))
        .json(release_view(&made.release, true))
}
