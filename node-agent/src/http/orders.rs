//! Calls that change something. Each says who speaks and in which epoch.

use actix_web::web::{Bytes, BytesMut, Data, Json, Payload, Query};
use actix_web::{HttpResponse, Responder};
use chassis::http::Caller;
use common::agent::{Announce, BuildQuery, Built, Ensure, Pull, Remove};
use common::port::nodes::Issuer;
use common::problem::Problem;
use futures::StreamExt as _;
use tokio::time::Duration;

use super::AgentRefusal;
use crate::agent::Agent;

/// How long an archive may take to arrive.
const UPLOAD: Duration = Duration::from_mins(10);

pub(super) async fn ensure(
    agent: Data<Agent>,
    caller: Caller,
    Json(body): Json<Ensure>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    Ok(Json(agent.ensure(body.issuer, &body.spec).await?))
}

pub(super) async fn remove(
    agent: Data<Agent>,
    caller: Caller,
    Json(body): Json<Remove>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    agent.remove(body.issuer, &body.removal).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn pull(
    agent: Data<Agent>,
    caller: Caller,
    Json(body): Json<Pull>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    agent.pull(body.issuer, &body.image).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn announce(
    agent: Data<Agent>,
    caller: Caller,
    Json(body): Json<Announce>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    agent.announce(body.issuer).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn build(
    agent: Data<Agent>,
    caller: Caller,
    query: Query<BuildQuery>,
    archive: Payload,
) -> Result<impl Responder, AgentRefusal> {
    let issuer = Issuer { service: query.service, epoch: query.epoch };
    speaks_for_itself(caller, issuer)?;
    agent.admit_build(issuer, &query.repository).await?;
    let context = receive(archive, agent.config.build_context_bytes).await?;
    Ok(Json(Built { image: agent.build(&query.repository, context).await? }))
}

/// A service may not give orders in the name of another.
pub(super) fn speaks_for_itself(
    Caller(caller): Caller,
    issuer: Issuer,
) -> Result<(), AgentRefusal> {
    if issuer.service == caller { Ok(()) } else { Err(AgentRefusal::forbidden(caller)) }
}

async fn receive(mut archive: Payload, limit: usize) -> Result<Bytes, AgentRefusal> {
    let received = async {
        let mut bytes = BytesMut::new();
        while let Some(piece) = archive.next().await {
            let piece = piece.map_err(|_| broken_off())?;
            if bytes.len() + piece.len() > limit {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    };
    tokio::time::timeout(UPLOAD, received).await.unwrap_or_else(|_| Err(broken_off()))
}

fn too_large(limit: usize) -> AgentRefusal {
    let detail = format!("at most {} MiB", limit / 1024 / 1024);
    AgentRefusal::new(Problem::new(413, "BODY_TOO_LARGE", "The archive is too large", detail))
}

fn broken_off() -> AgentRefusal {
    let detail = "the archive did not arrive whole";
    AgentRefusal::new(Problem::new(400, "BODY_INCOMPLETE", "The archive is incomplete", detail))
}
