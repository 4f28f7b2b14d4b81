//! Document 000's paths, with its inputs. Its callers wait for the end, and are told of failures by the status.

mod code;

use std::net::IpAddr;
use std::time::Duration;

use actix_web::web::{Data, Form, Json};
use actix_web::{HttpRequest, HttpResponse};
use chassis::http::Refusal;
use common::name::{LegacyName, NodeName};
use common::problem::Problem;
use common::record::instance::Instance;
use common::record::machine::{MachineRecord, MachineState};
use common::record::path;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::refusals::{No, failed, of_command, of_records, ready};
use super::requests::{awaited, ok, request};
use crate::commands;
use crate::domain::target::{Family, Target};
use crate::fleet;
use crate::records::{Asked, By, Repair, Wanted, load, repair_path};
use crate::shared::Shared;

pub(super) use code::{containerize, upload};

/// How long a caller waits; what takes longer is answered 202.
const SERVICE_WITHIN: Duration = Duration::from_mins(2);
const MACHINE_WITHIN: Duration = Duration::from_mins(5);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// They exist where the setting has them.
fn on(shared: &Shared) -> Result<(), No> {
    if shared.config.document_000_paths { ready(shared) } else { Err(No::PathsOff) }
}

/// `POST /Initialize_Environment`.
#[derive(Debug, Deserialize)]
pub(super) struct Environment {
    vm_ip: IpAddr,
}

/// The machine becomes a node, as the reconciler does with each; here is only waited for it.
pub(super) async fn initialize_environment(
    shared: Data<Shared>,
    body: Json<Environment>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let name = at(&shared, body.vm_ip).await?.name;
    let until = Instant::now() + MACHINE_WITHIN;
    shared.machines.wake(name.clone());
    loop {
        let machine = load::<MachineRecord>(&shared, &path::machine(&name)).await;
        let machine = machine.map_err(|err| of_records(&err))?.map(|stored| stored.record);
        match machine.map(|machine| machine.state) {
            Some(MachineState::Ready) => return Ok(ok()),
            Some(MachineState::Failed | MachineState::Quarantined) | None => {
                let repair = load::<Repair>(&shared, &repair_path(&name)).await;
                let repair = repair.map_err(|err| of_records(&err))?;
                let failure = repair.and_then(|stored| stored.record.failure);
                return Err(failure.map_or_else(|| not_a_node(&name), |one| failed(&one)));
            }
            Some(MachineState::Preparing | MachineState::Silent | MachineState::Leaving)
                if Instant::now() < until =>
            {
                sleep(LOOK_EVERY).await;
            }
            Some(MachineState::Preparing | MachineState::Silent | MachineState::Leaving) => {
                return Ok(HttpResponse::Accepted().body("not yet"));
            }
        }
    }
}

fn not_a_node(name: &NodeName) -> Refusal {
    let detail = format!("machine {name} is no node");
    Refusal(Problem::new(503, "NODE_UNAVAILABLE", "The request failed", detail))
}

async fn at(shared: &Shared, ip: IpAddr) -> Result<MachineRecord, Refusal> {
    let machines = fleet::machines(shared).await.map_err(|err| of_records(&err))?;
    let has = |machine: &MachineRecord| {
        let gate = machine.gate.as_ref().and_then(|gate| gate.address.parse::<IpAddr>().ok());
        machine.address == Some(ip) || gate == Some(ip)
    };
    machines.into_iter().find(has).ok_or_else(|| {
        let detail = format!("no machine has the address {ip}");
        Refusal(Problem::new(404, "NODE_UNKNOWN", "There is no such node", detail))
    })
}

/// `POST /Deploy`: restarts a service of the platform.
#[derive(Debug, Deserialize)]
pub(super) struct Deploy {
    name: String,
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "document 000's callers send it; where a service is, is known here"
    )]
    url: String,
}

pub(super) async fn deploy(
    shared: Data<Shared>,
    http: HttpRequest,
    body: Json<Deploy>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let name = body.into_inner().name;
    let target = Family::Services.target(&name).ok_or_else(|| {
        let detail = "no service of the platform has this name";
        Refusal(Problem::new(404, "SERVICE_UNKNOWN", "There is no such service", detail))
    })?;
    asked(&shared, &http, target, SERVICE_WITHIN).await
}

/// `POST /restart`: restarts a machine.
#[derive(Debug, Deserialize)]
pub(super) struct Restart {
    #[serde(rename = "Server_ip")]
    server_ip: IpAddr,
}

pub(super) async fn restart(
    shared: Data<Shared>,
    http: HttpRequest,
    body: Json<Restart>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let machine = at(&shared, body.server_ip).await?;
    asked(&shared, &http, Target::Node(machine.name), MACHINE_WITHIN).await
}

/// `POST /deployApp`: an app that is deployed is deployed again.
#[derive(Debug, Deserialize)]
pub(super) struct DeployApp {
    app_id: LegacyName,
    username: String,
}

pub(super) async fn deploy_app(
    shared: Data<Shared>,
    http: HttpRequest,
    body: Json<DeployApp>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let DeployApp { app_id, username } = body.into_inner();
    let instance = load::<Instance>(&shared, &path::instance(&app_id)).await;
    let instance = instance.map_err(|err| of_records(&err))?;
    // Who names another owner is not told whether there is such an app.
    if instance.is_none_or(|stored| stored.record.owner.as_str() != username) {
        let detail = format!("{username} has no app {app_id}");
        return Err(Refusal(Problem::new(404, "APP_UNKNOWN", "There is no such app", detail)));
    }
    asked(&shared, &http, Target::App(app_id), SERVICE_WITHIN).await
}

/// `POST /deployModel`: a model that is deployed is deployed again.
#[derive(Debug, Deserialize)]
pub(super) struct DeployModel {
    name: LegacyName,
}

pub(super) async fn deploy_model(
    shared: Data<Shared>,
    http: HttpRequest,
    body: Json<DeployModel>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    asked(&shared, &http, Target::Model(body.into_inner().name), SERVICE_WITHIN).await
}

async fn asked(
    shared: &Shared,
    http: &HttpRequest,
    target: Target,
    within: Duration,
) -> Result<HttpResponse, Refusal> {
    let request = request(shared, http, target.kind(), target.name())?;
    let (name, at) = (target.name().to_owned(), shared.ports.clock.now());
    let asked = Asked { request: request.id, by: By::Probe, name, at };
    let acceptance = commands::restart::accept(shared, &request, &target, asked).await;
    let acceptance = acceptance.map_err(|err| of_command(&err))?;
    awaited(shared, &request, &acceptance, within).await
}

/// `POST /provision`, a form: a machine more. Nobody signs in to it with a password: the platform's own key is let in.
#[derive(Debug, Deserialize)]
pub(super) struct Provision {
    vm_name: String,
    #[expect(dead_code, reason = "document 000's callers send it; the backend says who signs in")]
    username: String,
    #[expect(dead_code, reason = "document 000's callers send it; machines let keys in only")]
    password: String,
}

pub(super) async fn provision(
    shared: Data<Shared>,
    http: HttpRequest,
    form: Form<Provision>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let name = form.into_inner().vm_name.to_lowercase();
    let parsed: NodeName = name.parse().map_err(|_| {
        let detail = "a machine's name is one host label";
        Refusal(Problem::new(422, "NAME_INVALID", "This is no name of a machine", detail))
    })?;
    let request = request(&shared, &http, "need-node", parsed.as_str())?;
    let reason = format!("{parsed} was asked for");
    let wanted = Wanted { request: request.id, by: By::Operator, reason, name: Some(parsed) };
    let acceptance = commands::need_node::accept(&shared, &request, wanted).await;
    let acceptance = acceptance.map_err(|err| of_command(&err))?;
    awaited(&shared, &request, &acceptance, MACHINE_WITHIN).await
}
