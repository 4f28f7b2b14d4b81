//! `/api/v1/apps` and the lists of releases.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use common::id::ReleaseNumber;
use common::name::AppName;
use common::port::edge::EdgeOptions;
use common::record::release::{App, Source, Strategy};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::decisions::bounds_view;
use super::problems::ApiError;
use super::request::app_name;
use crate::commands::release::visible;
use crate::context::Context;
use crate::domain::access::{Action, Grant, Ownership, Person, grant};
use crate::records::apps::{self, StoredRelease};

/// How many releases are listed.
const LISTED: usize = 100;

/// The apps that a person may see.
pub(super) async fn seen_by(context: &Context, person: &Person) -> Result<Vec<App>, ApiError> {
    let mut apps = apps::all(context.ports.store.as_ref()).await?;
    apps.retain(|app| person.may(Action::SeeApps, Ownership::of(&app.owner)));
    Ok(apps)
}

pub(super) async fn list(context: Data<Context>, person: Person) -> Result<HttpResponse, ApiError> {
    let apps = seen_by(&context, &person).await?;
    Ok(HttpResponse::Ok().json(apps.iter().map(view).collect::<Vec<_>>()))
}

pub(super) async fn show(
    context: Data<Context>,
    person: Person,
    app: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let app = visible(&context, &person, &app_name(&app)?).await?;
    Ok(HttpResponse::Ok().insert_header(("etag", etag(&app))).json(view(&app)))
}

pub(super) async fn releases(
    context: Data<Context>,
    person: Person,
    app: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let app = visible(&context, &person, &app_name(&app)?).await?;
    let releases = apps::releases(context.ports.store.as_ref(), &app.name, LISTED).await?;
    let with_source = shows_source(&person, &app);
    let views: Vec<ReleaseView<'_>> =
        releases.iter().map(|release| release_view(release, with_source)).collect();
    Ok(HttpResponse::Ok().insert_header(("etag", etag(&app))).json(views))
}

/// Who only deploys does not see what an app is made of, nor its environment.
pub(super) fn shows_source(person: &Person, app: &App) -> bool {
    grant(person.role, Action::MakeRelease) != Grant::Nothing
        && person.may(Action::MakeRelease, Ownership::of(&app.owner))
}

/// Changes with every release.
pub(super) fn etag(app: &App) -> String {
    format!("\"{}\"", app.newest)
}

fn view(app: &App) -> Value {
    json!({
        "name": app.name,
        "owner": app.owner,
        "description": app.description,
        "created_at": app.created_at,
        "newest_release": app.newest,
    })
}

/// A release as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ReleaseView<'a> {
    app: &'a AppName,
    number: ReleaseNumber,
    created_at: Timestamp,
    port: u16,
    health: Option<&'a str>,
    memory_bytes: u64,
    cpu_millis: u32,
    read_only: bool,
    replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<Strategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling: Option<Value>,
    #[serde(skip_serializing_if = "EdgeOptions::is_plain")]
    edge: &'a EdgeOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a BTreeMap<String, String>>,
}

pub(super) fn release_view(stored: &StoredRelease, with_source: bool) -> ReleaseView<'_> {
    let release = &stored.release;
    let source = || match &release.source {
        Source::Image { image } => json!({ "image": image }),
        Source::Bundle { bundle, plan } => json!({
            "bundle": bundle,
            "runtime": plan.runtime,
            "command": plan.command,
        }),
    };
    ReleaseView {
        app: &release.app,
        number: release.number,
        created_at: release.created_at,
        port: release.port,
        health: release.health_path.as_deref(),
        memory_bytes: release.limits.memory_bytes,
        cpu_millis: release.limits.cpu_millis,
        read_only: release.read_only,
        replicas: stored.replicas,
        placement: release.placement,
        scaling: bounds_view(release),
        edge: &release.edge,
        source: with_source.then(source),
        environment: with_source.then_some(&release.environment),
    }
}
