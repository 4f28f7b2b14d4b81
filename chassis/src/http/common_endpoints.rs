//! The endpoints that every service has (`spec.md` 2.2): greeting, liveness, readiness, logs, metrics.

use std::path::PathBuf;
use std::sync::Arc;

use actix_web::http::header::ContentType;
use actix_web::web::{Data, Query, ServiceConfig, get};
use actix_web::{HttpRequest, HttpResponse};
use common::problem::Problem;
use common::service::ServiceName;
use prometheus::{Encoder as _, Registry, TextEncoder};
use serde::Deserialize;

use super::logs;
use super::refusal::{Refusal, text};
use crate::lifecycle::Lifecycle;

/// What the common endpoints tell about.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) service: ServiceName,
    pub(super) lifecycle: Lifecycle,
    pub(super) log_file: Option<PathBuf>,
    pub(super) metrics: Registry,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/home", get().to(home))
        .route("/health", get().to(health))
        .route("/healthCheck", get().to(health_check))
        .route("/livez", get().to(livez))
        .route("/readyz", get().to(readyz))
        .route("/get_logs", get().to(get_logs))
        .route("/metrics", get().to(metrics));
}

async fn home(about: Data<Arc<About>>) -> HttpResponse {
    text(format!("Hi, this is {}", about.service.title()))
}

async fn health(about: Data<Arc<About>>) -> HttpResponse {
    alive(&about, "Ok")
}

/// Document 000's spelling of the same verdict.
async fn health_check(about: Data<Arc<About>>) -> HttpResponse {
    alive(&about, "ok")
}

async fn livez(about: Data<Arc<About>>) -> HttpResponse {
    alive(&about, "ok")
}

fn alive(about: &About, yes: &str) -> HttpResponse {
    let silent = about.lifecycle.silent_loops();
    if silent.is_empty() {
        return text(yes);
    }
    let body = format!("these loops are silent: {}", silent.join(", "));
    HttpResponse::ServiceUnavailable().content_type(ContentType::plaintext()).body(body)
}

/// `/readyz`, and with `?verbose` each condition and why it does not hold.
async fn readyz(about: Data<Arc<About>>, request: HttpRequest) -> HttpResponse {
    let ready = about.lifecycle.is_ready();
    let mut body = String::new();
    if request
        .query_string()
        .split('&')
        .any(|part| part == "verbose" || part.starts_with("verbose="))
    {
        for (name, state) in about.lifecycle.readiness() {
            match state {
                Ok(()) => body.push_str(&format!("[+] {name}\n")),
                Err(why) => body.push_str(&format!("[-] {name}: {why}\n")),
            }
        }
    }
    body.push_str(if ready { "ok\n" } else { "not ready\n" });
    let status = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let mut status = status;
    status.content_type(ContentType::plaintext()).body(body)
}

/// The log is chosen by the service, never by the caller: any `name` is an unknown log.
#[derive(Debug, Deserialize)]
struct LogQuery {
    name: Option<String>,
}

async fn get_logs(
    about: Data<Arc<About>>,
    query: Query<LogQuery>,
) -> Result<HttpResponse, Refusal> {
    if query.name.is_some() {
        let detail = "this endpoint has one log, the service's own; leave `name` out";
        return Err(Refusal(Problem::new(404, "LOG_UNKNOWN", "There is no such log", detail)));
    }
    let lines = about.service.log_lines();
    let logs = match &about.log_file {
        Some(path) => logs::tail(path, lines).unwrap_or_default(),
        None => String::new(),
    };
    Ok(HttpResponse::Ok().json(serde_json::json!({ "logs": logs })))
}

async fn metrics(about: Data<Arc<About>>) -> Result<HttpResponse, Refusal> {
    let mut families = prometheus::gather();
    families.extend(about.metrics.gather());
    let mut body = Vec::new();
    TextEncoder::new().encode(&families, &mut body).map_err(|err| {
        tracing::error!(error = &err as &dyn std::error::Error, "metrics could not be encoded");
        Refusal::internal()
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(body))
}
