//! Document 001's paths.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{Data, Json, Query};
use chassis::http::Refusal;
use common::name::LegacyName;
use common::port::container::Limits;
use serde::{Deserialize, Serialize};

use super::refusals::{of_log, of_records};
use crate::domain::placement::{choose, unknown_instance};
use crate::metrics::verdict_name;
use crate::reconcile::observe;
use crate::records;
use crate::sampling;
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
pub(super) struct DeployNodeQuery {
    /// Whose container the node is for; none for anybody's.
    app_name: Option<LegacyName>,
}

/// The map of message 7, keys in its order.
#[derive(Debug, Serialize)]
pub(super) struct DeployNode {
    node_id: String,
    node_name: String,
    node_ip: String,
    node_os: String,
    port: u16,
    app_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// What message 7 would say now; nothing is leased.
pub(super) async fn deploy_node(
    shared: Data<Shared>,
    query: Query<DeployNodeQuery>,
) -> Result<Json<DeployNode>, Refusal> {
    let instance = query.app_name.as_ref();
    let needs = match instance {
        Some(instance) => {
            records::needs(&shared, instance, None).await.map_err(|err| of_records(&err))?
        }
        None => Some((Limits::default(), shared.config.placement)),
    };
    let candidates =
        observe::candidates(&shared, instance, None).await.map_err(|err| of_records(&err))?;
    let app_name = instance.map(ToString::to_string).unwrap_or_default();
    let nobody = |error| DeployNode {
        node_id: String::new(),
        node_name: String::new(),
        node_ip: String::new(),
        node_os: String::new(),
        port: 0,
        app_name: app_name.clone(),
        error: Some(error),
    };
    let Some((needs, strategy)) = needs else {
        return Ok(Json(nobody(unknown_instance().code.as_str())));
    };
    Ok(Json(match choose(&candidates, &needs, strategy) {
        Err(unplaced) => nobody(unplaced.failure().code.as_str()),
        Ok(chosen) => {
            let node = shared.members().find(&chosen.node).ok_or_else(Refusal::internal)?;
            DeployNode {
                node_id: node.name.to_string(),
                node_name: node.name.to_string(),
                node_ip: node.ip.to_string(),
                node_os: node.os.clone(),
                port: chosen.port,
                app_name,
                error: None,
            }
        }
    }))
}

/// A node as document 001's admin page shows it; percentages, 0 while it is silent.
#[derive(Debug, Serialize)]
pub(super) struct NodeHealth {
    name: String,
    #[serde(rename = "CPU Usage")]
    cpu: f64,
    #[serde(rename = "Memory Usage")]
    memory: f64,
    #[serde(rename = "Disk Usage")]
    disk: f64,
    /// `live`, or what is wrong with it.
    #[serde(rename = "Health")]
    state: String,
}

pub(super) async fn all_nodes_health(shared: Data<Shared>) -> Json<Vec<NodeHealth>> {
    let alerts = shared.alerts().clone();
    let nodes = shared.members().all();
    let health = nodes.iter().map(|node| {
        let used = shared.heartbeats.fresh(&node.name).map(|sample| sample.node);
        let verdict = shared.verdict(&node.name).map(|stored| stored.record);
        let state = match (alerts.get(&node.name), verdict) {
            (Some(alert), _) if used.is_some() => alert.to_string(),
            (_, Some(alive)) => verdict_name(alive.verdict).to_owned(),
            (_, None) => "not heard yet".to_owned(),
        };
        NodeHealth {
            name: node.name.to_string(),
            cpu: used.map_or(0.0, |used| hundredths(used.cpu_percent)),
            memory: used.map_or(0.0, |used| hundredths(used.memory_percent)),
            disk: used.map_or(0.0, |used| hundredths(used.disk_percent)),
            state,
        }
    });
    Json(health.collect())
}

fn hundredths(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// Takes a sample of every node into the log.
pub(super) async fn take_sample(shared: Data<Shared>) -> Result<HttpResponse, Refusal> {
    sampling::take_sample(&shared).await.map_err(|err| of_log(&err))?;
    Ok(success())
}

pub(super) async fn delete_old_logs(shared: Data<Shared>) -> Result<HttpResponse, Refusal> {
    let now = shared.ports.clock.now();
    shared.sample_log.expire(now).await.map_err(|err| of_log(&err))?;
    Ok(success())
}

fn success() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body("Success")
}
