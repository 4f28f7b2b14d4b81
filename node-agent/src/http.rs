//! The routes of the mutual-TLS listener, and who may call which.

mod orders;
mod questions;
mod refusal;

use std::sync::Arc;

use actix_web::web::{Data, JsonConfig, ServiceConfig, get, post, resource};
use chassis::http::json_config;
use common::agent;
use common::service::ServiceName;

use crate::agent::Agent;

use refusal::AgentRefusal;

/// A specification with its files.
const ORDER_BYTES: usize = 2 * 1024 * 1024;

const DEPLOYER: &[ServiceName] = &[ServiceName::DeploymentManager];
const LEADERS: &[ServiceName] = &[ServiceName::DeploymentManager, ServiceName::NodeManager];
const LISTERS: &[ServiceName] =
    &[ServiceName::DeploymentManager, ServiceName::NodeManager, ServiceName::AppManager];
const READERS_OF_SAMPLES: &[ServiceName] =
    &[ServiceName::DeploymentManager, ServiceName::NodeManager, ServiceName::LoadBalancer];
const READERS_OF_LOGS: &[ServiceName] = &[ServiceName::DeploymentManager, ServiceName::AppManager];

/// Everybody who may call anything.
pub(crate) const CALLERS: &[ServiceName] = &[
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::NodeManager,
    ServiceName::LoadBalancer,
];

pub(crate) fn routes(agent: Arc<Agent>, routes: &mut ServiceConfig) {
    let named = |path: &str| format!("{path}/{{name}}");
    let order = |path: &str| resource(path.to_owned()).app_data(orders_config());
    routes
        .app_data(Data::from(agent))
        .service(order(agent::ENSURE).route(post().to(orders::ensure)))
        .service(order(agent::REMOVE).route(post().to(orders::remove)))
        .service(order(agent::PULL).route(post().to(orders::pull)))
        .service(order(agent::ANNOUNCE).route(post().to(orders::announce)))
        .route(agent::BUILD, post().to(orders::build))
        .route(agent::CONTAINERS, get().to(questions::list))
        .route(&named(agent::PROBE), get().to(questions::probe))
        .route(&named(agent::LOGS), get().to(questions::logs))
        .route(agent::SAMPLES, get().to(questions::samples));
}

fn orders_config() -> JsonConfig {
    json_config().limit(ORDER_BYTES)
}

/// Lets the caller in, if it is one of `callers`.
fn admit(caller: ServiceName, callers: &[ServiceName]) -> Result<(), AgentRefusal> {
    if callers.contains(&caller) { Ok(()) } else { Err(AgentRefusal::forbidden(caller)) }
}
