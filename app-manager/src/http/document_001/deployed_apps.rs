//! `/api/deployedApps/…`: instances as document 001 knows them.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse};
use common::name::AppName;
use common::record::instance::{Instance, State};
use common::record::release::App;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::problems::ApiError;
use super::super::{instances, request};
use super::{scheduled_apps, success};
use crate::bundle::app_json;
use crate::bundle::json::{self, Strict};
use crate::commands::deploy::{Name, Wish};
use crate::commands::release::visible;
use crate::commands::{Accepted, deploy as deploying, stop as stopping};
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::apps;

/// In bytes: document 001's place is a small text.
const LONGEST_LOCATION: usize = 16 * 1024;
/// In bytes, as a text in a record.
const LARGEST_APP_JSON: usize = 40 * 1024;
const LONGEST_EMAIL: usize = 254;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::http) struct Deploy {
    base_app_id: u64,
    pub(super) base_app_name: String,
    developer: String,
    /// JSON, as text.
    location: String,
    user_email: String,
    pub(super) start_time: Option<String>,
    pub(super) end_time: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::http) struct Stop {
    /// The instance's name.
    app_id: String,
}

/// `GET /api/deployedApps/getDeployedApps/`
pub(in crate::http) async fn deployed(
    context: Data<Context>,
    person: Person,
) -> Result<HttpResponse, ApiError> {
    let views = list(&context, &person, State::Deployed).await?;
    Ok(success(StatusCode::OK, views, "deployed apps"))
}

/// `GET /api/deployedApps/getDeployInProgressApps/`
pub(in crate::http) async fn in_progress(
    context: Data<Context>,
    person: Person,
) -> Result<HttpResponse, ApiError> {
    let views = list(&context, &person, State::Deploying).await?;
    Ok(success(StatusCode::OK, views, "apps that are being deployed"))
}

async fn list(context: &Context, person: &Person, state: State) -> Result<Vec<Value>, ApiError> {
    let instances = instances::seen_by(context, person).await?;
    let apps = apps::all(context.ports.store.as_ref()).await?;
    let apps: BTreeMap<AppName, App> =
        apps.into_iter().map(|app| (app.name.clone(), app)).collect();
    let of_state = instances.iter().filter(|instance| instance.state == state);
    Ok(of_state.map(|instance| view(instance, apps.get(&instance.app))).collect())
}

pub(super) fn view(instance: &Instance, app: Option<&App>) -> Value {
    json!({
        "id": instance.name,
        "baseAppId": app.map(|app| app.base_app_id),
        "developer": app.map(|app| &app.owner),
        "deployedAppName": instance.name,
        "userName": instance.owner,
        "created": instance.created_at,
        "url": instance.url,
        "status": match instance.state {
            State::Scheduled => "scheduled",
            State::Deploying => "deployment in progress",
            State::Deployed => "deployed",
            State::DeployFailed => "deployment failed",
            State::Stopping => "stop in progress",
            State::Stopped => "stopped",
            State::StopFailed => "stop failed",
        },
    })
}

/// `POST /api/deployedApps/deployApp/`: one more instance of an app, with its own `app.json`; at its time, if it names one.
pub(in crate::http) async fn deploy(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    body: Json<Deploy>,
) -> Result<HttpResponse, ApiError> {
    let body = body.into_inner();
    if body.start_time.is_some() || body.end_time.is_some() {
        return scheduled_apps::scheduled(&context, &person, &request, &body).await;
    }
    let name = request::app_name(&body.base_app_name)?;
    let app = visible(&context, &person, &name).await?;
    let text = body.app_json(&app)?;
    let wish = Wish {
        app: name,
        instance: Name::WithUuid,
        release: None,
        replicas: None,
        canary: None,
        app_json: Some(text),
    };
    let id = request::request_id(&context, &person, &request)?;
    let accepted = deploying::deploy(&context, &person, wish, id).await?;
    let message = format!("{} is being deployed, check later", accepted.instance);
    Ok(success(StatusCode::OK, answer(&accepted), &message))
}

impl Deploy {
    /// The app's `app.json`, completed; or what is wrong with the request.
    pub(super) fn app_json(&self, app: &App) -> Result<String, ApiError> {
        let wrong =
            |field: &str, detail: &str| Err(ApiError::field(field, "FIELD_INVALID", detail));
        if self.base_app_id != app.base_app_id {
            return wrong("baseAppId", "it is not the number of the app of that name");
        }
        if self.developer != app.owner.as_str() {
            return wrong("developer", "it is not the developer of the app of that name");
        }
        if self.location.len() > LONGEST_LOCATION {
            return wrong("location", "it is longer than 16 KiB");
        }
        let has_control = self.user_email.chars().any(char::is_control);
        if self.user_email.len() > LONGEST_EMAIL || has_control {
            return wrong("userEmail", "it is not an address");
        }
        let Strict(location) = json::read(self.location.as_bytes())
            .map_err(|err| ApiError::field("location", "FIELD_INVALID", err.to_string()))?;
        let text = app_json::completed(app.manifest.as_ref(), location, &self.user_email);
        // It stands in the instance's record as text: each quote takes two bytes there.
        if Value::from(text.as_str()).to_string().len() > LARGEST_APP_JSON {
            return wrong("location", "with the app's app.json it is too large to be kept");
        }
        Ok(text)
    }
}

/// `POST /api/deployedApps/stopApp/`
pub(in crate::http) async fn stop(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    body: Json<Stop>,
) -> Result<HttpResponse, ApiError> {
    let name = request::instance_name(&body.app_id)?;
    let id = request::request_id(&context, &person, &request)?;
    let accepted = stopping::stop(&context, &person, &name, id).await?;
    let message = format!("{} is being stopped", accepted.instance);
    Ok(success(StatusCode::OK, answer(&accepted), &message))
}

pub(super) fn answer(accepted: &Accepted) -> Value {
    json!({
        "deployedAppName": accepted.instance,
        "requestId": accepted.request,
        "waitingFor": accepted.waits_for_bus.then_some("bus"),
    })
}
