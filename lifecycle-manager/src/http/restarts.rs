//! `/api/v1/restarts`: what was restarted, and asking for it.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::{Caller, Refusal};
use chassis::operations::{Acceptance, Request};
use chassis::records::readable;
use common::failure::Failure;
use common::id::RequestId;
use common::problem::Problem;
use common::service::ServiceName;
use jiff::Timestamp;
use serde::Serialize;

use super::refusals::{of_command, of_records, ready};
use super::requests::{accepted, request_id, request_of};
use crate::commands;
use crate::domain::target::Family;
use crate::records::{Asked, By, Restart, Stage, load, restart_path, restarts};
use crate::shared::Shared;

/// One target's restarts.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    family: &'static str,
    target: String,
    /// `idle` or `underway`.
    stage: &'static str,
    /// How many requests wait for its end.
    waiting: usize,
    /// How often since it was last calm.
    number: u32,
    last: Option<Timestamp>,
    /// Why the last one did not do what it should.
    failure: Option<Failure>,
}

impl From<Restart> for Told {
    fn from(restart: Restart) -> Self {
        Told {
            family: restart.target.family().as_str(),
            target: restart.target.name().to_owned(),
            stage: match restart.stage {
                Stage::Idle => "idle",
                Stage::Underway { .. } => "underway",
            },
            waiting: restart.waiting.len(),
            number: restart.number,
            last: restart.last,
            failure: restart.failure,
        }
    }
}

/// Of all families, each in the order of names.
pub(super) async fn list(shared: Data<Shared>) -> Result<Json<Vec<Told>>, Refusal> {
    let store = shared.ports.store.as_ref();
    let mut found = Vec::new();
    for family in Family::ALL {
        let names = store.children(&restarts(family)).await;
        let names = names.map_err(|err| of_records(&err.into()))?;
        for target in names.iter().filter_map(|name| family.target(name)) {
            let stored = readable(load::<Restart>(&shared, &restart_path(&target)).await);
            found.extend(stored.map_err(|err| of_records(&err))?.map(|one| one.record.into()));
        }
    }
    Ok(Json(found))
}

/// `POST /api/v1/restarts/{family}/{target}`. Monitoring is held by the brakes; who speaks for people is not.
pub(super) async fn ask(
    shared: Data<Shared>,
    http: HttpRequest,
    caller: Caller,
    of: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let by = if caller.0 == ServiceName::AppManager { By::Operator } else { By::Probe };
    let (id, (family, name)) = (request_id(&shared, &http)?, of.into_inner());
    let (request, acceptance) = take(&shared, id, by, (&family, &name)).await?;
    Ok(accepted(&request, &acceptance)?)
}

/// Somebody wants a restart of the target of this name in its family.
pub(crate) async fn take(
    shared: &Shared,
    id: RequestId,
    by: By,
    (family, name): (&str, &str),
) -> Result<(Request, Acceptance), Refusal> {
    ready(shared)?;
    let family = Family::ALL.into_iter().find(|known| known.as_str() == family);
    let target = family.and_then(|family| family.target(name)).ok_or_else(unknown)?;
    let request = request_of(id, target.kind(), target.name());
    let (name, at) = (name.to_owned(), shared.ports.clock.now());
    let asked = Asked { request: request.id, by, name, at };
    let acceptance = commands::restart::accept(shared, &request, &target, asked).await;
    Ok((request, acceptance.map_err(|err| of_command(&err))?))
}

pub(super) fn unknown() -> Refusal {
    let detail = "a target is one of services, nodes, apps or models, and has its name";
    Refusal(Problem::new(404, "NOT_FOUND", "There is nothing of this name to restart", detail))
}
