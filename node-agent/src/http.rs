//! The routes of the mutual-TLS listener, and who may call which.

mod blobs;
mod disk;
mod orders;
mod parts;
mod questions;
mod refusal;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, json_config, mount};
use common::agent::{self, ORDER_BYTES};
use common::service::ServiceName::{
    AppManager, DeploymentManager, LifecycleManager, LoadBalancer, NodeAgent, NodeManager,
};

use crate::agent::Agent;
use crate::parts::Parts;

use refusal::AgentRefusal;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;
const KEEPERS_OF_BLOBS: Access = Access::Services(&[AppManager, DeploymentManager]);
const DEPLOYER: Access = Access::Services(&[DeploymentManager]);
const KEEPER: Access = Access::Services(&[LifecycleManager]);
const NEIGHBOUR: Access = Access::Services(&[NodeAgent]);
const READERS_OF_DISKS: Access = Access::Services(&[AppManager, NodeManager]);
const PINNER: Access = Access::Services(&[NodeManager]);
const LEADERS: Access = Access::Services(&[DeploymentManager, NodeManager, LifecycleManager]);
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
    Endpoint::new(POST, agent::ENSURE_PART, KEEPER, &[7, 11, 16], || to(parts::ensure)),
    Endpoint::new(POST, agent::REMOVE_PART, KEEPER, &[7, 11, 16], || to(parts::remove)),
    Endpoint::new(POST, agent::RESTART_PART, KEEPER, &[7, 11, 16], || to(parts::restart)),
    Endpoint::new(POST, agent::BUILD_CODE, KEEPER, &[4, 11], || to(parts::build)),
    Endpoint::new(POST, agent::CONSENT, NEIGHBOUR, &[11, 16], || to(parts::consent)),
    Endpoint::new(GET, agent::PARTS, KEEPER, &[7, 11, 16], || to(parts::list)),
    Endpoint::new(GET, "/v1/parts/{name}/logs", KEEPER, &[7, 11, 16], || to(parts::logs)),
    Endpoint::new(GET, agent::IMAGES, KEEPER, &[4], || to(parts::images)),
    Endpoint::new(GET, "/v1/images/{image}/archive", KEEPER, &[4, 10], || to(parts::image_archive)),
    Endpoint::new(POST, agent::PUSH_IMAGE, KEEPER, &[4], || to(parts::push_image)),
    Endpoint::new(POST, agent::REGISTRY, KEEPER, &[4], || to(parts::registry)),
    Endpoint::new(POST, agent::SHARES, KEEPER, &[4], || to(parts::share)),
    Endpoint::new(GET, agent::DISK, READERS_OF_DISKS, &[36], || to(disk::show)),
    Endpoint::new(POST, agent::COLLECT, READERS_OF_DISKS, &[36], || to(disk::collect)),
    Endpoint::new(POST, agent::PINS, PINNER, &[36], || to(disk::pin)),
    Endpoint::new(POST, agent::NEEDS, PINNER, &[36], || to(disk::need)),
    Endpoint::new(GET, agent::BLOBS, KEEPERS_OF_BLOBS, &[27, 28], || to(blobs::list)),
    Endpoint::new(PUT, "/v1/blobs/{digest}", KEEPERS_OF_BLOBS, &[27, 28], || to(blobs::put)),
    Endpoint::new(GET, "/v1/blobs/{digest}", KEEPERS_OF_BLOBS, &[27, 28], || to(blobs::get)),
    Endpoint::new(DELETE, "/v1/blobs/{digest}", KEEPERS_OF_BLOBS, &[27, 28], || to(blobs::delete)),
];

/// What answers besides the agent itself.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) parts: Arc<Parts>,
}

pub(crate) fn routes(agent: Arc<Agent>, beside: Beside, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(agent)).app_data(Data::from(beside.parts));
    routes.app_data(json_config().limit(ORDER_BYTES));
    mount(ENDPOINTS, Listener::MutualTls, routes);
}
