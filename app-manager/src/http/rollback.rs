//! `GET /api/v1/instances/{name}/releases` and `POST /api/v1/instances/{name}/rollback`: what was in service, and going
//! back to it; `POST .../promote`: giving a canary all requests.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use common::digest::ImageRef;
use common::id::ReleaseNumber;
use common::record::deployment::Deployment;
use common::record::kept::Kept;
use serde::Deserialize;
use serde_json::{Value, json};

use super::deployments::answer;
use super::instances::one;
use super::problems::ApiError;
use super::request::{instance_name, request_id};
use crate::commands;
use crate::context::Context;
use crate::domain::access::{Action, Person};
use crate::records::instances;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    release: Option<u32>,
}

pub(super) async fn releases(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    one(&context, &person, &name, Action::SeeInstances).await?;
    let deployment = instances::deployment(context.ports.store.as_ref(), &name).await?;
    Ok(HttpResponse::Ok().json(deployment.as_ref().map(views).unwrap_or_default()))
}

/// A canary, then what was in service, the newest first.
fn views(deployment: &Deployment) -> Vec<Value> {
    let kept = deployment.releases.iter().rev().map(|kept| view(deployment, kept));
    canary(deployment).into_iter().chain(kept).collect()
}

/// What gets a share of the requests, be it still on its way.
fn canary(deployment: &Deployment) -> Option<Value> {
    let canary = deployment.canary.as_ref()?;
    Some(json!({
        "number": deployment.release,
        "state": "canary",
        "share": canary.share,
        "since": canary.since,
        "rolled_back_at": null,
        "by": deployment.origin.by,
        "image_digest": deployment.image.as_ref().map(ImageRef::digest),
        "bundle_digest": deployment.origin.bundle,
        "request_id": deployment.request,
    }))
}

fn view(deployment: &Deployment, kept: &Kept) -> Value {
    let serving = deployment.serving.as_ref().map(|serving| serving.generation);
    let state = if serving == Some(kept.generation) {
        "serving"
    } else if kept.rolled_back_at.is_some() {
        "rolled_back"
    } else {
        "former"
    };
    json!({
        "number": kept.number,
        "state": state,
        "share": null,
        "since": kept.since,
        "rolled_back_at": kept.rolled_back_at,
        "by": kept.by,
        "image_digest": kept.image.digest(),
        "bundle_digest": kept.bundle,
        "request_id": kept.request,
    })
}

pub(super) async fn promote(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let id = request_id(&context, &person, &request)?;
    Ok(answer(&commands::canary::promote(&context, &person, &name, id).await?))
}

pub(super) async fn rollback(
    context: Data<Context>,
    person: Person,
    name: Path<String>,
    request: HttpRequest,
    body: Json<Rollback>,
) -> Result<HttpResponse, ApiError> {
    let name = instance_name(&name)?;
    let named = body.release.map(ReleaseNumber);
    let id = request_id(&context, &person, &request)?;
    Ok(answer(&commands::rollback::rollback(&context, &person, &name, named, id).await?))
}
