//! The endpoints that every service has (`spec.md` 2.2): greeting, liveness, readiness, logs, metrics.

use std::path::PathBuf;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Query, ServiceConfig, to};
use actix_web::{HttpRequest, HttpResponse};
use common::port::part::SILENT_LOOPS;
use common::problem::Problem;
use common::service::ServiceName;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder as _, GaugeVec, Opts, Registry, TextEncoder};
use serde::Deserialize;

use super::endpoint::{Access, Endpoint, Listener, mount};
use super::logs;
use super::refusal::{Refusal, text};
use crate::lifecycle::{Lifecycle, Loop, Role};
use crate::metrics::register;

/// What the common endpoints tell about.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) service: ServiceName,
    pub(super) lifecycle: Lifecycle,
    pub(super) log_file: Option<PathBuf>,
    pub(super) metrics: Registry,
    pub(super) any_instance_answers: bool,
    pub(super) leader_paths: &'static [&'static str],
    pub(super) own_paths: &'static [&'static str],
}

const GET: Method = Method::GET;
const ANYONE: Access = Access::Anyone;

/// The routes that every service has.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(GET, "/home", ANYONE, &[20], || to(home)).of_document(1),
    Endpoint::new(GET, "/health", ANYONE, &[20], || to(health))
        .of_document(1)
        .same_as("GET /livez"),
    Endpoint::new(GET, "/healthCheck", ANYONE, &[20], || to(health_check))
        .of_document(0)
        .same_as("GET /livez"),
    Endpoint::new(GET, "/livez", ANYONE, &[20], || to(livez)),
    Endpoint::new(GET, "/readyz", ANYONE, &[20], || to(readyz)),
    Endpoint::new(GET, "/get_logs", ANYONE, &[20], || to(get_logs)).of_document(1),
    Endpoint::new(GET, "/metrics", ANYONE, &[60], || to(metrics)),
];

/// The same on both listeners: a mutual-TLS connection is closed to others before it gets here.
pub(super) fn routes(routes: &mut ServiceConfig) {
    mount(ENDPOINTS, Listener::Plain { document_001_gets: false }, routes);
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
    let silent = silent.join(", ");
    let mut answer = HttpResponse::ServiceUnavailable();
    answer.insert_header((SILENT_LOOPS, silent.as_str())).content_type(ContentType::plaintext());
    answer.body(format!("these loops are silent: {silent}"))
}

/// `/readyz`, and with `?verbose` each condition and why it does not hold, and each loop and when it was last heard of.
/// Who looks from its machine is told of silent loops in a header: one that waits for others is to be left alone, one
/// whose loops hang is not.
async fn readyz(about: Data<Arc<About>>, request: HttpRequest) -> HttpResponse {
    let silent = about.lifecycle.silent_loops();
    let ready = about.lifecycle.is_ready() && silent.is_empty();
    let mut body = String::new();
    if request
        .query_string()
        .split('&')
        .any(|part| part == "verbose" || part.starts_with("verbose="))
    {
        if let Role::StandsBy { leader } = about.lifecycle.role() {
            let leader = leader.map_or_else(|| "nobody".to_owned(), |leader| leader.plain);
            body.push_str(&format!("[ ] standing by: {leader} leads\n"));
        }
        for (name, state) in about.lifecycle.readiness() {
            match state {
                Ok(()) => body.push_str(&format!("[+] {name}\n")),
                Err(why) => body.push_str(&format!("[-] {name}: {why}\n")),
            }
        }
        for one in about.lifecycle.loops() {
            body.push_str(&told(&one));
        }
    }
    body.push_str(if ready { "ok\n" } else { "not ready\n" });
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    if !silent.is_empty() {
        answer.insert_header((SILENT_LOOPS, silent.join(", ")));
    }
    answer.content_type(ContentType::plaintext()).body(body)
}

fn told(one: &Loop) -> String {
    let Loop { name, age, within, turns } = one;
    let mark = if one.is_silent() { '-' } else { '+' };
    let (age, within) = (age.as_secs_f64(), within.as_secs());
    format!("[{mark}] loop {name}: heard of {age:.1} s ago, of at most {within}, {turns} times\n")
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

/// How long ago each loop was heard of: what a service's `/health` judges, as a number.
fn loop_ages(lifecycle: &Lifecycle) -> Vec<MetricFamily> {
    let registry = Registry::new();
    let about = "How long ago a loop of the service was last heard of.";
    let ages = GaugeVec::new(Opts::new("service_loop_age_seconds", about), &["loop"]);
    let ages = register(&registry, ages);
    for one in lifecycle.loops() {
        ages.with_label_values(&[one.name]).set(one.age.as_secs_f64());
    }
    registry.gather()
}

async fn metrics(about: Data<Arc<About>>) -> Result<HttpResponse, Refusal> {
    let mut families = prometheus::gather();
    families.extend(about.metrics.gather());
    families.extend(loop_ages(&about.lifecycle));
    let mut body = Vec::new();
    TextEncoder::new().encode(&families, &mut body).map_err(|err| {
        tracing::error!(error = &err as &dyn std::error::Error, "metrics could not be encoded");
        Refusal::internal()
    })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(body))
}
