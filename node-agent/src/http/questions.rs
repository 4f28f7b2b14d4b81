//! Calls that change nothing.

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{Error, HttpResponse, Responder};
use common::agent::LogQuery;
use common::name::ContainerName;
use common::port::containers::Follow;
use futures::{StreamExt as _, stream};

use super::AgentRefusal;
use crate::agent::Agent;

/// More than this of the past is not sent.
const MOST_LINES: usize = 10_000;

pub(super) async fn list(agent: Data<Agent>) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(agent.list().await?))
}

pub(super) async fn probe(
    agent: Data<Agent>,
    name: Path<ContainerName>,
) -> Result<impl Responder, AgentRefusal> {
    Ok(Json(agent.probe(&name).await?))
}

/// The output as it is; a failure in the middle breaks the answer off.
pub(super) async fn logs(
    agent: Data<Agent>,
    name: Path<ContainerName>,
    query: Query<LogQuery>,
) -> Result<impl Responder, AgentRefusal> {
    let follow = if query.follow { Follow::Yes } else { Follow::No };
    let lines = agent.logs(&name, query.tail.min(MOST_LINES), follow).await?;
    let lines = lines.map(|line| line.map_err(AgentRefusal::from_engine));
    let lines = lines.take_until(agent.closing.clone().cancelled_owned());
    Ok(HttpResponse::Ok().content_type("application/octet-stream").streaming(lines))
}

/// The newest sample whenever there is a new one: a slow reader misses some, and never gets old ones.
pub(super) async fn samples(agent: Data<Agent>) -> impl Responder {
    let lines = stream::unfold(agent.samples.subscribe(), |mut samples| async move {
        samples.changed().await.ok()?;
        let line = samples.borrow_and_update().line().unwrap_or_default();
        Some((Ok::<_, Error>(line), samples))
    });
    let lines = lines.take_until(agent.closing.clone().cancelled_owned());
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines)
}
