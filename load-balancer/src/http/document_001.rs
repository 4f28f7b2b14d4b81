//! Document 001's paths: plain text for its callers, lists as its files.

use std::net::IpAddr;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Query};
use chassis::http::Refusal;
use common::name::LegacyName;
use serde::{Deserialize, Serialize};

use super::error::{Error, refusal};
use crate::commands::{self, deregister_app, register_app};
use crate::lists::{file_text, read};
use crate::shared::Shared;

/// What `/registerApp` is asked with. `lbVmName` and the like of older callers are ignored.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegisterApp {
    vm_ip: IpAddr,
    container_id: String,
    app_name: LegacyName,
    image_name: String,
    container_port: u16,
    host_port: u16,
}

/// Answers `ip:port` of the front door.
pub(super) async fn register_app(shared: Data<Shared>, query: Query<RegisterApp>) -> HttpResponse {
    let asked = query.into_inner();
    let container = register_app::Registration {
        vm_ip: asked.vm_ip,
        id: shortened(asked.container_id),
        app: asked.app_name,
        image: shortened(asked.image_name),
        container_port: asked.container_port,
        host_port: asked.host_port,
    };
    match register_app::run(&shared, container).await {
        Ok(endpoint) => text(endpoint.to_string()),
        Err(err) => not_done("not registered", &err),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeregisterApp {
    app_name: LegacyName,
}

/// An app that is not there is gone already: the answer is the same.
pub(super) async fn deregister_app(
    shared: Data<Shared>,
    query: Query<DeregisterApp>,
) -> HttpResponse {
    let instance = query.into_inner().app_name;
    match deregister_app::run(&shared, &instance).await {
        Ok(()) => text(format!("{instance} deregistered")),
        Err(err) => not_done("not deregistered", &err),
    }
}

pub(super) async fn get_vm_details(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    Ok(list(&read(&shared).await?.machines))
}

pub(super) async fn get_apps_details(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    Ok(list(&read(&shared).await?.apps))
}

pub(super) async fn get_apps_health(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    Ok(list(&read(&shared).await?.health))
}

fn list<T: Serialize>(rows: &T) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(file_text(rows))
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(body)
}

fn not_done(what: &str, err: &commands::Error) -> HttpResponse {
    let Refusal(problem) = refusal(err);
    let body = format!("{what}. Error - {}: {}", problem.code, problem.detail);
    let status = actix_web::http::StatusCode::from_u16(problem.status).unwrap_or_default();
    HttpResponse::build(status).content_type(ContentType::plaintext()).body(body)
}

/// Only shown in lists; a record must not grow with what a caller sends.
fn shortened(text: String) -> String {
    if text.len() <= 256 { text } else { text.chars().take(256).collect() }
}
