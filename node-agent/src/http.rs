//! The routes of the mutual-TLS listener, and who may call which.

mod orders;
mod questions;
mod refusal;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, json_config, mount};
use common::agent;
use common::service::ServiceName::{AppManager, DeploymentManager, LoadBalancer, NodeManager};

use crate::agent::Agent;

use refusal::AgentRefusal;

/// A specification with its files.
const ORDER_BYTES: usize = 2 * 1024 * 1024;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DEPLOYER: Access = Access::Services(&[DeploymentManager]);
const LEADERS: Access = Access::Services(&[DeploymentManager, NodeManager]);
const LISTERS: Access = Access::Services(&[DeploymentManager, NodeManager, AppManager]);
const READERS_OF_SAMPLES: Access =
    Access::Services(&[AppManager, DeploymentManager, NodeManager, LoadBalancer]);
const READERS_OF_LOGS: Access = Access::Services(&[DeploymentManager, AppManager]);

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(POST, agent::ENSURE, DEPLOYER, &[33], || to(orders::ensure)),
    Endpoint::new(POST, agent::REMOVE, DEPLOYER, &[34], || to(orders::remove)),
    Endpoint::new(POST, agent::PULL, DEPLOYER, &[33], || to(orders::pull)),
    Endpoint::new(POST, agent::BUILD, DEPLOYER, &[33], || to(orders::build)),
    Endpoint::new(POST, agent::ANNOUNCE, LEADERS, &[33, 35], || to(orders::announce)),
    Endpoint::new(GET, agent::CONTAINERS, LISTERS, &[33, 35], || to(questions::list)),
    Endpoint::new(GET, "/v1/probe/{name}", DEPLOYER, &[33], || to(questions::probe)),
    Endpoint::new(GET, "/v1/logs/{name}", READERS_OF_LOGS, &[33], || to(questions::logs)),
    Endpoint::new(GET, agent::SAMPLES, READERS_OF_SAMPLES, &[35, 38], || to(questions::samples)),
];

pub(crate) fn routes(agent: Arc<Agent>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(agent)).app_data(json_config().limit(ORDER_BYTES));
    mount(ENDPOINTS, Listener::MutualTls, routes);
}
