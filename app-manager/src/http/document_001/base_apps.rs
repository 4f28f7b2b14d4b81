//! `/api/baseApp/…`: apps as document 001 knows them.

use actix_multipart::Multipart;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use common::record::release::App;
use serde_json::{Value, json};

use super::super::problems::ApiError;
use super::super::{apps as native, request, upload as uploads};
use super::success;
use crate::commands::release::{self, Expected};
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::apps;

/// The field of document 001's forms.
const FIELD: &str = "inpFile";

/// `GET /api/baseApp/getapps/`
pub(in crate::http) async fn list(
    context: Data<Context>,
    person: Person,
) -> Result<HttpResponse, ApiError> {
    let apps = native::seen_by(&context, &person).await?;
    let views: Vec<Value> = apps.iter().map(view).collect();
    Ok(success(StatusCode::OK, views, "apps"))
}

/// `POST /api/baseApp/upload/`: a new app; a taken name is a conflict.
pub(in crate::http) async fn upload(
    context: Data<Context>,
    person: Person,
    request: HttpRequest,
    payload: Multipart,
) -> Result<HttpResponse, ApiError> {
    let received = uploads::receive(&context, &request, payload, FIELD).await?;
    let name = request::app_name_to_make(&context, stem_of(received.file_name.as_deref())?).await?;
    let made =
        release::from_bundle(&context, &person, &name, received.upload, Expected::NoApp).await;
    uploads::count(&context, &made);
    Ok(success(StatusCode::CREATED, view(&made?.app), "the app is uploaded"))
}

/// `POST /api/baseApp/checkfilename/`: whether the name is free. Only the file's name counts.
pub(in crate::http) async fn check_file_name(
    context: Data<Context>,
    request: HttpRequest,
    payload: Multipart,
) -> Result<HttpResponse, ApiError> {
    let received = uploads::receive(&context, &request, payload, FIELD).await?;
    let name = request::app_name(stem_of(received.file_name.as_deref())?)?;
    let is_free = apps::load(context.ports.store.as_ref(), &name).await?.is_none();
    let message = if is_free { "the name is free" } else { "the name is taken" };
    Ok(success(StatusCode::OK, is_free, message))
}

/// The app's name is the zip's.
fn stem_of(file_name: Option<&str>) -> Result<&str, ApiError> {
    let stem = file_name.and_then(|name| name.strip_suffix(".zip"));
    let detail = "the file's name ends in .zip";
    stem.ok_or_else(|| ApiError::field(FIELD, "FILE_NAME_INVALID", detail))
}

fn view(app: &App) -> Value {
    let key = |key: &str| app.manifest.as_ref().and_then(|keys| keys.get(key)).cloned();
    json!({
        "id": app.base_app_id,
        "developer": app.owner,
        "created": app.created_at,
        "appName": app.name,
        "status": "uploaded",
        "appDesc": app.description,
        "appType": key("applicationType").unwrap_or_default(),
        "sensorTypes": key("sensorTypes").unwrap_or_default(),
    })
}
