//! `/api/v1/nodes`: how the nodes are and what of apps each has, and their drains, which the node manager keeps: it says no in
//! its own words.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chassis::http::Refusal;
use chassis::records;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::record::deployment::{Deployment, Slot, SlotState};
use common::record::node::{Alive, Drain, Node, Verdict};
use common::record::path;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use super::keeper::Keeper;
use super::problems::ApiError;
use crate::context::Context;
use crate::domain::access::Person;
use crate::records::instances;

/// How many deployments are read at once.
const AT_ONCE: usize = 32;
/// It writes one record.
const NODE_MANAGER: Keeper = Keeper { answers_within: Duration::from_secs(15), away };

pub(super) async fn list(context: Data<Context>) -> Result<HttpResponse, ApiError> {
    let store = context.ports.store.as_ref();
    let deployments = deployments(&context).await?;
    let mut nodes = Vec::new();
    for name in store.children(&path::folder("nodes")).await? {
        let Ok(name) = name.parse::<NodeName>() else { continue };
        let Some(node) = records::load::<Node>(store, &path::node(&name)).await? else { continue };
        let alive = records::load::<Alive>(store, &path::alive(&name)).await?;
        // One that cannot be read costs no more than its time.
        let drain = records::readable(records::load::<Drain>(store, &path::drain(&name)).await)?;
        let known = Known {
            alive: alive.map(|stored| stored.record),
            drain: drain.map(|stored| stored.record),
        };
        nodes.push(view(&node.record, &known, &deployments));
    }
    Ok(HttpResponse::Ok().json(nodes))
}

pub(super) async fn drain(
    context: Data<Context>,
    person: Person,
    node: Path<NodeName>,
) -> Result<HttpResponse, ApiError> {
    NODE_MANAGER.answer(context.ports.drains.begin(&node)).await?;
    tracing::info!(user = %person.name, node.id = %*node, "asked for a node to be drained");
    Ok(HttpResponse::Accepted().json(json!({ "node": &*node })))
}

pub(super) async fn take_back(
    context: Data<Context>,
    person: Person,
    node: Path<NodeName>,
) -> Result<HttpResponse, ApiError> {
    NODE_MANAGER.answer(context.ports.drains.end(&node)).await?;
    tracing::info!(user = %person.name, node.id = %*node, "returned a node");
    Ok(HttpResponse::NoContent().finish())
}

fn away() -> Refusal {
    let detail = "no node manager answers, as between two leaders";
    Refusal::unavailable("NODE_MANAGER_UNAVAILABLE", detail)
}

/// What stands of every instance.
async fn deployments(context: &Context) -> Result<Vec<Deployment>, ApiError> {
    let store = context.ports.store.as_ref();
    let found: Vec<Option<Deployment>> = stream::iter(instances::names(store).await?)
        .map(|name| async move { instances::deployment(store, &name).await })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// What the node manager has written of a node.
struct Known {
    alive: Option<Alive>,
    drain: Option<Drain>,
}

fn view(node: &Node, known: &Known, deployments: &[Deployment]) -> Value {
    let alive = known.alive.as_ref();
    let here: BTreeMap<&str, (usize, &Deployment)> = deployments
        .iter()
        .map(|one| (one.instance.as_str(), (replicas_on(one, &node.name), one)))
        .filter(|(_, (replicas, _))| *replicas > 0)
        .collect();
    let is_draining = alive.is_some_and(|alive| alive.verdict == Verdict::Draining);
    // Only of a node that is emptied is it asked why something is on it yet.
    let stays = here.iter().filter(|_| is_draining).filter_map(|(instance, (_, deployment))| {
        let failure = want_of_room(deployment)?;
        Some(json!({ "instance": instance, "code": failure.code, "detail": failure.message }))
    });
    json!({
        "name": node.name,
        "ip": node.ip,
        "os": node.os,
        "verdict": alive.map_or_else(|| json!("unknown"), |alive| json!(alive.verdict)),
        "reason": alive.map_or("the node manager has not looked at it yet", |alive| &alive.reason),
        "since": alive.map(|alive| alive.since),
        "drained_since": known.drain.as_ref().map(|drain| drain.since),
        "replicas": here.values().map(|(replicas, _)| replicas).sum::<usize>(),
        "stays": stays.collect::<Vec<_>>(),
    })
}

/// Why a replica that is asked for has no place. Any other failure, as one of an earlier deploy, keeps nothing on a node.
fn want_of_room(deployment: &Deployment) -> Option<&Failure> {
    let is_asked_for = deployment.slots.iter().any(|slot| slot.state == SlotState::Asked);
    deployment.failure.as_ref().filter(|failure| {
        let is_want = matches!(
            failure.code,
            FailureCode::NoNodeFits
                | FailureCode::PortsExhausted
                | FailureCode::InsufficientStorage
        );
        is_asked_for && is_want
    })
}

/// Those that are there, or may be: also one that is being removed.
fn replicas_on(deployment: &Deployment, node: &NodeName) -> usize {
    let is_there = |slot: &&Slot| slot.place.as_ref().is_some_and(|place| place.node == *node);
    deployment.slots.iter().filter(is_there).count()
}
