//! Document 000's `/Upload` and `/Containerize`: code of a share as an image on a machine. A machine fetches code only to
//! build it, so the first does both; the second says whose it is, and has the image be there still. Nothing runs by either.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use chassis::http::Refusal;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::share::{Code, NotCode};
use common::problem::Problem;
use rollout::order::ensure_code;
use serde::Deserialize;
use tokio::time::timeout;

use super::super::refusals::{failed, of_ours, of_records};
use super::super::requests::ok;
use super::{at, not_a_node, on};
use crate::domain::target::Family;
use crate::reconcile::refusal;
use crate::records::{Upload as Kept, Uploads, load, save, uploads_path};
use crate::shared::Shared;

/// How long a caller waits; what takes longer goes on when it is asked for again.
const BUILT_WITHIN: Duration = Duration::from_mins(15);
/// How often a record is written that others write at the same time.
const ATTEMPTS: u32 = 16;
/// A path of document 000 is a folder's name, or a path.
const LONGEST_PATH: usize = 255;

/// `POST /Upload`.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Upload {
    vm_ip: IpAddr,
    /// The code, as it is named everywhere: `share://<share>/<folder>@<digest>`.
    source: String,
    /// By what `/Containerize` will mean it on this machine.
    destination: String,
}

pub(in crate::http) async fn upload(
    shared: Data<Shared>,
    body: Json<Upload>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let Upload { vm_ip, source, destination } = body.into_inner();
    let code: Code = source.parse().map_err(|err: NotCode| field("source", &err.to_string()))?;
    let fits = (1..=LONGEST_PATH).contains(&destination.len());
    if !fits || destination.chars().any(char::is_control) {
        return Err(field("destination", "a path has 1 to 255 bytes, and no control characters"));
    }
    let node = at(&shared, vm_ip).await?.name;
    if !build(&shared, &node, &code).await? {
        return Ok(later());
    }
    remember(&shared, &node, Kept { destination, code }).await?;
    Ok(ok())
}

/// `POST /Containerize`.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct Containerize {
    service_name: String,
    vm_ip: IpAddr,
    /// What was a `destination` of `/Upload` on this machine.
    path: String,
}

pub(in crate::http) async fn containerize(
    shared: Data<Shared>,
    body: Json<Containerize>,
) -> Result<HttpResponse, Refusal> {
    on(&shared)?;
    let Containerize { service_name, vm_ip, path } = body.into_inner();
    if Family::Services.target(&service_name).is_none() {
        let detail = "no service of the platform has this name";
        return Err(Refusal(Problem::new(
            404,
            "SERVICE_UNKNOWN",
            "There is no such service",
            detail,
        )));
    }
    let node = at(&shared, vm_ip).await?.name;
    let uploads = load::<Uploads>(&shared, &uploads_path(&node)).await;
    let uploads = uploads.map_err(|err| of_records(&err))?.map(|stored| stored.record);
    let kept = uploads.unwrap_or_default().uploads.into_iter().rev();
    let code = kept.into_iter().find(|kept| kept.destination == path).map(|kept| kept.code);
    let code = code.ok_or_else(|| {
        let detail = format!("nothing was uploaded to {path:?} on {node}");
        Refusal(Problem::new(404, "NOT_FOUND", "There is no such code", detail))
    })?;
    Ok(if build(&shared, &node, &code).await? { ok() } else { later() })
}

fn field(name: &str, rule: &str) -> Refusal {
    Refusal(Problem::new(422, "FIELD_INVALID", "The request is not taken", rule).field(name))
}

fn later() -> HttpResponse {
    HttpResponse::Accepted().body("not yet")
}

/// Whether the image is on the machine; it is not where that takes too long.
async fn build(shared: &Shared, node: &NodeName, code: &Code) -> Result<bool, Refusal> {
    let agent = shared.sight.agent(node).ok_or_else(|| not_a_node(node))?;
    let Some(vault) = &shared.ports.vault else {
        let message = "there is nobody here who knows of shares";
        return Err(failed(&Failure::new(FailureCode::ShareUnknown, message)));
    };
    let (parts, issuer) = (shared.ports.parts.as_ref(), shared.issuer());
    let building = ensure_code(parts, &agent, issuer, code, &vault.secrets);
    match timeout(BUILT_WITHIN, building).await {
        Ok(Ok(())) => Ok(true),
        Ok(Err(err)) => match refusal(shared, node, err).await {
            Ok(failure) => Err(failed(&failure)),
            Err(err) => Err(of_ours(&err)),
        },
        Err(_) => Ok(false),
    }
}

/// Two callers may be at it at once for one machine, and neither has built for nothing.
async fn remember(shared: &Shared, node: &NodeName, upload: Kept) -> Result<(), Refusal> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let stored =
            load::<Uploads>(shared, &uploads_path(node)).await.map_err(|err| of_records(&err))?;
        let (uploads, version) = match stored {
            Some(stored) => (stored.record, Some(stored.version)),
            None => (Uploads::default(), None),
        };
        let uploads = uploads.with(upload.clone());
        match save(shared, &uploads_path(node), &uploads, version).await {
            Ok(_) => return Ok(()),
            Err(err) if err.is_changed() && left > 0 => {}
            Err(err) => return Err(of_ours(&err)),
        }
    }
}
