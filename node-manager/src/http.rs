//! The HTTP interface: document 001's paths, and our own for the command line and other services.

mod document_001;
pub(crate) mod drains;
mod nodes;
mod refusals;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, mount};
use common::service::ServiceName;

use crate::shared::Shared;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;
const ANYONE: Access = Access::Anyone;
const READERS: Access = Access::Services(&[
    ServiceName::AppManager,
    ServiceName::DeploymentManager,
    ServiceName::LoadBalancer,
]);
/// Who speaks for admins.
const PEOPLE: Access = Access::Services(&[ServiceName::AppManager]);

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(GET, "/nodemgr/get-deploy-node", ANYONE, &[36], || to(document_001::deploy_node))
        .of_document(1),
    Endpoint::new(GET, "/nodemgr/get-all-nodes-health", ANYONE, &[36], || {
        to(document_001::all_nodes_health)
    })
    .of_document(1)
    .same_as("GET /api/v1/nodes"),
    Endpoint::new(GET, "/nodemgr/log", Access::ActingGet, &[36], || to(document_001::take_sample))
        .of_document(1)
        .same_as("POST /nodemgr/log"),
    Endpoint::new(POST, "/nodemgr/log", ANYONE, &[36], || to(document_001::take_sample)),
    Endpoint::new(DELETE, "/nodemgr/delete-old-logs", ANYONE, &[36], || {
        to(document_001::delete_old_logs)
    })
    .of_document(1),
    Endpoint::new(GET, "/api/v1/nodes", ANYONE, &[36], || to(nodes::list)),
    Endpoint::new(GET, "/api/v1/nodes", READERS, &[36], || to(nodes::list)),
    Endpoint::new(GET, "/api/v1/nodes/{node}/disk", ANYONE, &[36], || to(nodes::disk)),
    Endpoint::new(GET, "/api/v1/nodes/{node}/disk", READERS, &[36], || to(nodes::disk)),
    Endpoint::new(GET, "/api/v1/nodes/{node}/samples", ANYONE, &[36], || to(nodes::samples)),
    Endpoint::new(GET, "/api/v1/nodes/{node}/samples", READERS, &[36], || to(nodes::samples)),
    Endpoint::new(PUT, "/api/v1/nodes/{node}/drain", PEOPLE, &[], || to(drains::begin)),
    Endpoint::new(DELETE, "/api/v1/nodes/{node}/drain", PEOPLE, &[], || to(drains::end)),
];

/// The plain listener.
pub(crate) fn public_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    let document_001_gets = shared.config.document_001_gets;
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::Plain { document_001_gets }, routes);
}

/// The mutual-TLS listener.
pub(crate) fn internal_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::MutualTls, routes);
}
