//! Calls about the disk: what is on it, what is kept, and the removal of what nobody refers to.

use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, Responder};
use chassis::http::Caller;
use common::agent::{NeedsAre, Pins};
use common::port::disk::Collection;

use super::AgentRefusal;
use super::orders::speaks_for_itself;
use crate::agent::Agent;
use crate::bundles::Word;
use crate::disk;

pub(super) async fn show(agent: Data<Agent>) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(disk::look(&agent).await?))
}

/// Who goes away meanwhile ends it: the rest stays.
pub(super) async fn collect(
    agent: Data<Agent>,
    Json(collection): Json<Collection>,
) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(disk::collect(&agent, collection).await?))
}

pub(super) async fn pin(
    agent: Data<Agent>,
    caller: Caller,
    Json(body): Json<Pins>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    disk::pin(&agent, body.issuer, body.pins).await?;
    Ok(HttpResponse::NoContent())
}

pub(super) async fn need(
    agent: Data<Agent>,
    caller: Caller,
    Json(body): Json<NeedsAre>,
) -> Result<impl Responder, AgentRefusal> {
    speaks_for_itself(caller, body.issuer)?;
    let word = if body.adds { Word::More } else { Word::All };
    disk::need(&agent, body.issuer, body.needs, word).await?;
    Ok(HttpResponse::NoContent())
}
