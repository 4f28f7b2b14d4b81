//! `/api/v1/machines`: the machines as they are; adding one, taking one away, pinning another host key.

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use chassis::operations::{Acceptance, Request};
use chassis::records;
use common::id::RequestId;
use common::name::NodeName;
use common::port::upkeep::{Addition, Machine, Pin};
use common::problem::Problem;

use super::refusals::{node_unknown, of_command, of_ours, of_records, ready};
use super::requests::{accepted, request_id, request_of};
use crate::commands::take_away::{self, Answer};
use crate::commands::{need_node, pin};
use crate::fleet;
use crate::records::{By, Repair, Taker, Wanted, load, repair_path};
use crate::shared::Shared;

pub(super) async fn list(shared: Data<Shared>) -> Result<Json<Vec<Machine>>, Refusal> {
    Ok(Json(listed(&shared).await?))
}

/// All machines, in the order of names.
pub(crate) async fn listed(shared: &Shared) -> Result<Vec<Machine>, Refusal> {
    let machines = fleet::machines(shared).await.map_err(|err| of_records(&err))?;
    let mut told = Vec::with_capacity(machines.len());
    for machine in machines {
        let repair = load::<Repair>(shared, &repair_path(&machine.name)).await;
        let repair = records::readable(repair).map_err(|err| of_records(&err))?;
        let repair = repair.map(|stored| stored.record).unwrap_or_default();
        told.push(Machine {
            kind: machine.shape.kind().to_owned(),
            name: machine.name,
            address: machine.address,
            goal: machine.goal,
            state: machine.state,
            reason: machine.reason,
            since: machine.since,
            restarts: machine.restarts,
            attempts: repair.attempts,
            failure: repair.failure,
        });
    }
    Ok(told)
}

pub(super) async fn add(
    shared: Data<Shared>,
    http: HttpRequest,
    body: Json<Addition>,
) -> Result<HttpResponse, Refusal> {
    let id = request_id(&shared, &http)?;
    let (request, acceptance) = take_addition(&shared, id, body.into_inner()).await?;
    Ok(accepted(&request, &acceptance)?)
}

/// A person wants a machine more.
pub(crate) async fn take_addition(
    shared: &Shared,
    id: RequestId,
    addition: Addition,
) -> Result<(Request, Acceptance), Refusal> {
    ready(shared)?;
    if shared.config.platform.is_none() {
        return Err(no_machines());
    }
    let Addition { name, reason } = addition;
    let what = name.as_ref().map_or("", NodeName::as_str);
    let request = request_of(id, "need-node", what);
    let wanted = Wanted { request: request.id, by: By::Operator, reason, name };
    let acceptance = need_node::accept(shared, &request, wanted).await;
    Ok((request, acceptance.map_err(|err| of_command(&err))?))
}

/// `DELETE /api/v1/machines/{machine}`.
pub(super) async fn remove(
    shared: Data<Shared>,
    name: Path<NodeName>,
) -> Result<HttpResponse, Refusal> {
    take_removal(&shared, &name).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// A person wants a machine to be gone: it goes as soon as it is empty.
pub(crate) async fn take_removal(shared: &Shared, name: &NodeName) -> Result<(), Refusal> {
    ready(shared)?;
    if shared.config.platform.is_none() {
        return Err(no_machines());
    }
    match take_away::accept(shared, name, Taker::Person).await.map_err(|err| of_ours(&err))? {
        Answer::Going => Ok(()),
        Answer::Unknown => Err(node_unknown(name)),
        Answer::InUse(why) => Err(conflict(why)),
    }
}

/// `PUT /api/v1/machines/{machine}/host-key`: the end of a quarantine.
pub(super) async fn pin(
    shared: Data<Shared>,
    name: Path<NodeName>,
    body: Json<Pin>,
) -> Result<HttpResponse, Refusal> {
    take_pin(&shared, &name, &body).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A person has compared the host key.
pub(crate) async fn take_pin(shared: &Shared, name: &NodeName, pin: &Pin) -> Result<(), Refusal> {
    ready(shared)?;
    if shared.config.platform.is_none() {
        return Err(no_machines());
    }
    match pin::accept(shared, name, pin).await.map_err(|err| of_ours(&err))? {
        pin::Answer::Pinned => Ok(()),
        pin::Answer::Trusted => Err(trusted(name)),
        pin::Answer::Unknown => Err(node_unknown(name)),
    }
}

/// The one machine of a platform in one process is nobody's to add, to take away or to sign in to.
fn no_machines() -> Refusal {
    let detail = "this platform is one process: it has the machine that it runs on, and no other";
    Refusal(Problem::new(409, "SINGLE_PROCESS", "There is only this machine", detail))
}

fn trusted(name: &NodeName) -> Refusal {
    let detail = format!("{name} is in no quarantine, and known by another host key");
    let problem = Problem::new(409, "NOT_QUARANTINED", "The machine is trusted as it is", detail)
        .hint("a machine that shows another host key goes into quarantine by itself; pin it then");
    Refusal(problem)
}

fn conflict(detail: String) -> Refusal {
    Refusal(Problem::new(409, "MACHINE_IN_USE", "The machine is in use", detail))
}
