//! Document 001's paths: plain text, and lists as its files.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Json};
use chassis::http::Refusal;
use common::id::RequestId;
use common::record::operation::Outcome;
use common::record::platform::PlatformGoal;
use common::service::ServiceName;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::platform::switched;
use super::refusals;
use crate::domain::plan::Entry;
use crate::observe::see;
use crate::outcome::failure;
use crate::reconcile::Single;
use crate::records::{Error, platform, registry};
use crate::shared::Shared;
use crate::status_file::Status;

/// So long the list waits for the load balancer to be found again.
const REPAIRED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn start(shared: Data<Shared>) -> HttpResponse {
    run(&shared, PlatformGoal::On).await
}

pub(super) async fn stop(shared: Data<Shared>) -> HttpResponse {
    run(&shared, PlatformGoal::Off).await
}

/// `Success`, or the error as text.
async fn run(shared: &Shared, goal: PlatformGoal) -> HttpResponse {
    let id = RequestId(shared.ports.entropy.uuid());
    match switched(shared, id, goal).await {
        Ok(Some(Outcome::Succeeded { .. })) => text(StatusCode::OK, "Success".to_owned()),
        Ok(Some(outcome @ (Outcome::Failed { .. } | Outcome::Superseded))) => {
            let failure = failure(goal, &outcome);
            let Refusal(problem) = refusals::of_failure(&failure);
            text(status_code(problem.status), failure.to_string())
        }
        Ok(None) => {
            let body =
                format!("still under way: /api/v1/platform/operations/{id} tells how it ends");
            text(StatusCode::ACCEPTED, body)
        }
        Err(Refusal(problem)) => {
            text(status_code(problem.status), format!("{}: {}", problem.code, problem.detail))
        }
    }
}

fn status_code(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn text(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status).content_type(ContentType::plaintext()).body(body)
}

/// The content of `platform_status.json`.
pub(super) async fn status(shared: Data<Shared>) -> Result<Json<Status>, Refusal> {
    let stored = platform(&shared).await.map_err(|err| refusals::of(&err.into()))?;
    let reached = stored.and_then(|stored| stored.record.reached);
    reached.map(|reached| Json(Status::of(&reached))).ok_or_else(refusals::never_started)
}

/// One entry of the registry.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    service: String,
    ip: IpAddr,
    port: u16,
}

/// The registry. The load balancer's entry is looked after first: where it is not right it is made so, as it
/// would have been soon anyway.
pub(super) async fn all_services(shared: Data<Shared>) -> Result<Json<Vec<Listed>>, Refusal> {
    find_load_balancer(&shared).await.map_err(|err| refusals::of(&err))?;
    list(&shared).await.map(Json).map_err(|err| refusals::of(&err))
}

async fn find_load_balancer(shared: &Shared) -> Result<(), Error> {
    let deadline = Instant::now() + REPAIRED_WITHIN;
    let mut changes = shared.changes();
    loop {
        let runs =
            platform(shared).await?.is_some_and(|stored| stored.record.goal == PlatformGoal::On);
        let seen = see(shared, ServiceName::LoadBalancer).await?;
        let is_right = matches!(seen.entry, Entry::Right(_));
        if is_right || !runs || seen.ready() == 0 || Instant::now() >= deadline {
            return Ok(());
        }
        shared.wake.wake(Single);
        let next_look = deadline.min(Instant::now() + LOOK_EVERY);
        drop(timeout_at(next_look, changes.changed()).await);
    }
}

/// What is no `ip:port` is left out: others may write there.
async fn list(shared: &Shared) -> Result<Vec<Listed>, Error> {
    let store = shared.ports.store.as_ref();
    let mut listed = Vec::new();
    for service in store.children(&registry()).await? {
        let Ok(folder) = registry().join(&service) else { continue };
        for instance in store.children(&folder).await? {
            let Ok(path) = folder.join(&instance) else { continue };
            let Some(entry) = store.get(&path).await? else { continue };
            let address = std::str::from_utf8(&entry.value).unwrap_or_default().trim();
            let Some((ip, port)) = address.rsplit_once(':') else { continue };
            if let (Ok(ip), Ok(port)) = (ip.parse(), port.parse()) {
                listed.push(Listed { service: service.clone(), ip, port });
            }
        }
    }
    Ok(listed)
}
