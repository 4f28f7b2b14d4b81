//! `/api/v1/machines`: the machines as they are; adding one, taking one away, pinning another host key.

use std::net::IpAddr;

use actix_web::web::{Data, Json, Path};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use chassis::records::{self, Stored};
use common::failure::Failure;
use common::name::NodeName;
use common::port::host::HostKey;
use common::problem::Problem;
use common::record::machine::{MachineGoal, MachineRecord, MachineState};
use common::record::path;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusals::{node_unknown, of_command, of_ours, of_records, ready};
use super::requests::{accepted, request};
use crate::commands::need_node;
use crate::commands::take_away::{self, Answer};
use crate::fleet;
use crate::records::{By, Repair, Wanted, load, repair_path, save};
use crate::shared::Shared;

/// A machine as it is. Nothing about how one signs in.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    name: NodeName,
    /// `local`, `azure` or `given`.
    kind: &'static str,
    address: Option<IpAddr>,
    goal: MachineGoal,
    state: MachineState,
    reason: String,
    since: Timestamp,
    restarts: Vec<Timestamp>,
    /// What was done about it of late, and why that did not help.
    attempts: u32,
    failure: Option<Failure>,
}

pub(super) async fn list(shared: Data<Shared>) -> Result<Json<Vec<Told>>, Refusal> {
    let machines = fleet::machines(&shared).await.map_err(|err| of_records(&err))?;
    let mut told = Vec::with_capacity(machines.len());
    for machine in machines {
        let repair = load::<Repair>(&shared, &repair_path(&machine.name)).await;
        let repair = records::readable(repair).map_err(|err| of_records(&err))?;
        let repair = repair.map(|stored| stored.record).unwrap_or_default();
        told.push(Told {
            kind: machine.shape.kind(),
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
    Ok(Json(told))
}

/// A machine that is to be added.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Addition {
    /// The next free one if it is left out.
    #[serde(default)]
    name: Option<NodeName>,
    reason: String,
}

pub(super) async fn add(
    shared: Data<Shared>,
    http: HttpRequest,
    body: Json<Addition>,
) -> Result<HttpResponse, Refusal> {
    ready(&shared)?;
    let Addition { name, reason } = body.into_inner();
    let what = name.as_ref().map_or("", NodeName::as_str);
    let request = request(&shared, &http, "need-node", what)?;
    let wanted = Wanted { request: request.id, by: By::Operator, reason, name };
    let acceptance = need_node::accept(&shared, &request, wanted).await;
    Ok(accepted(&request, &acceptance.map_err(|err| of_command(&err))?)?)
}

/// `DELETE /api/v1/machines/{machine}`.
pub(super) async fn remove(
    shared: Data<Shared>,
    name: Path<NodeName>,
) -> Result<HttpResponse, Refusal> {
    ready(&shared)?;
    match take_away::accept(&shared, &name).await.map_err(|err| of_ours(&err))? {
        Answer::Going => Ok(HttpResponse::Accepted().finish()),
        Answer::Unknown => Err(node_unknown(&name)),
        Answer::InUse(why) => Err(conflict(why)),
    }
}

/// A host key that an operator has compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    host_key: HostKey,
}

/// `PUT /api/v1/machines/{machine}/host-key`: the end of a quarantine.
pub(super) async fn pin(
    shared: Data<Shared>,
    name: Path<NodeName>,
    body: Json<Pin>,
) -> Result<HttpResponse, Refusal> {
    ready(&shared)?;
    let name = name.into_inner();
    let Stored { record: mut machine, version } = find(&shared, &name).await?;
    machine.host_key = Some(body.into_inner().host_key);
    if machine.state == MachineState::Quarantined {
        machine.state = MachineState::Preparing;
        "its new host key was pinned".clone_into(&mut machine.reason);
        machine.since = shared.ports.clock.now();
    }
    let saved = save(&shared, &path::machine(&name), &machine, Some(version)).await;
    saved.map_err(|err| of_ours(&err))?;
    shared.machines.wake(name);
    Ok(HttpResponse::NoContent().finish())
}

async fn find(shared: &Shared, name: &NodeName) -> Result<Stored<MachineRecord>, Refusal> {
    let stored = load::<MachineRecord>(shared, &path::machine(name)).await;
    stored.map_err(|err| of_records(&err))?.ok_or_else(|| node_unknown(name))
}

fn conflict(detail: String) -> Refusal {
    Refusal(Problem::new(409, "MACHINE_IN_USE", "The machine is in use", detail))
}
