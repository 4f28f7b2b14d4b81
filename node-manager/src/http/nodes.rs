//! `/api/v1/nodes`: the nodes as they are and were, and what is on their disks.

use std::net::{IpAddr, SocketAddr};

use actix_web::web::{Data, Json, Path, Query};
use chassis::http::Refusal;
use common::name::NodeName;
use common::port::disk::Disk;
use common::port::nodes::{ContainerUse, NodeUse};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::refusals::{node_unknown, of_log};
use crate::metrics::verdict_name;
use crate::sample_log::Entry;
use crate::shared::Shared;

/// A node as it is now.
#[derive(Debug, Serialize)]
pub(super) struct Node {
    name: NodeName,
    ip: IpAddr,
    agent: SocketAddr,
    os: String,
    /// `live`, `suspect`, `dead`, `draining`, or `unknown` before the first verdict.
    verdict: &'static str,
    reason: String,
    since: Option<Timestamp>,
    /// What it has too little of.
    alert: Option<String>,
    /// None while it is silent.
    #[serde(rename = "use")]
    used: Option<NodeUse>,
    containers: Vec<ContainerUse>,
}

pub(super) async fn list(shared: Data<Shared>) -> Json<Vec<Node>> {
    let alerts = shared.alerts().clone();
    let nodes = shared.members().all();
    let nodes = nodes.iter().map(|node| {
        let alive = shared.verdict(&node.name).map(|stored| stored.record);
        let sample = shared.heartbeats.fresh(&node.name);
        Node {
            name: node.name.clone(),
            ip: node.ip,
            agent: node.agent,
            os: node.os.clone(),
            verdict: alive.as_ref().map_or("unknown", |alive| verdict_name(alive.verdict)),
            reason: alive
                .as_ref()
                .map_or_else(|| "it was not heard yet".to_owned(), |alive| alive.reason.clone()),
            since: alive.map(|alive| alive.since),
            alert: alerts.get(&node.name).map(ToString::to_string),
            used: sample.as_ref().map(|sample| sample.node),
            containers: sample.map(|sample| sample.containers).unwrap_or_default(),
        }
    });
    Json(nodes.collect())
}

pub(super) async fn disk(
    shared: Data<Shared>,
    node: Path<NodeName>,
) -> Result<Json<Disk>, Refusal> {
    if shared.members().find(&node).is_none() {
        return Err(node_unknown(&node));
    }
    let unsaid = || {
        let detail = "the node does not say what is on its disk";
        Refusal::unavailable("NODE_UNAVAILABLE", detail)
    };
    let said = shared.disks.of(&node).ok_or_else(unsaid)?;
    Ok(Json(Disk::clone(&said)))
}

#[derive(Debug, Deserialize)]
pub(super) struct SamplesQuery {
    /// From when on; a day back if it is left out.
    since: Option<Timestamp>,
}

pub(super) async fn samples(
    shared: Data<Shared>,
    node: Path<NodeName>,
    query: Query<SamplesQuery>,
) -> Result<Json<Vec<Entry>>, Refusal> {
    let node = node.into_inner();
    if shared.members().find(&node).is_none() {
        return Err(node_unknown(&node));
    }
    let yesterday = || {
        let now = shared.ports.clock.now();
        now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let since = query.since.unwrap_or_else(yesterday);
    let entries = shared.sample_log.since(since, Some(&node)).await;
    entries.map(Json).map_err(|err| of_log(&err))
}
