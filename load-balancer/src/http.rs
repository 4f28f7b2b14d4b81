//! The route table of both listeners.

mod certificates;
mod document_001;
mod edge;
mod error;
mod routes;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, mount};
use common::problem::Problem;
use common::service::ServiceName;

use crate::commands;
use crate::shared::Shared;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;
const ANYONE: Access = Access::Anyone;
/// Who gives apps and services their front doors.
const DEPLOYERS: Access =
    Access::Services(&[ServiceName::DeploymentManager, ServiceName::PlatformInitializer]);
/// Who may ask through a front door.
const ASKERS: Access = Access::Services(&[
    ServiceName::DeploymentManager,
    ServiceName::Monitoring,
    ServiceName::PlatformInitializer,
]);

/// Who gives certificates: people do, by the app manager.
const GIVERS: Access = Access::Services(&[ServiceName::AppManager]);

/// Who shows people what their apps are asked.
const SHOWERS: Access = Access::Services(&[ServiceName::AppManager]);

/// Who leads asks the one beside the other edge.
const PAIR: Access = Access::Services(&[ServiceName::LoadBalancer]);

/// What each instance answers about its own edge, whoever leads.
pub(crate) const OWN_PATHS: &[&str] = &[
    "/api/v1/edge/routes",
    "/api/v1/edge/certificates",
    "/api/v1/edge/in-flight",
    "/api/v1/edge/traffic",
    "/api/v1/edge/visits",
];

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(GET, "/registerApp", Access::ActingGet, &[37], || to(document_001::register_app))
        .of_document(1)
        .same_as("POST /api/v1/routes"),
    Endpoint::new(GET, "/deregisterApp", Access::ActingGet, &[37], || {
        to(document_001::deregister_app)
    })
    .of_document(1)
    .same_as("DELETE /api/v1/routes/{instance}"),
    Endpoint::new(GET, "/getVmDetails", ANYONE, &[38], || to(document_001::get_vm_details))
        .of_document(1),
    Endpoint::new(GET, "/getAppsDetails", ANYONE, &[38], || to(document_001::get_apps_details))
        .of_document(1)
        .same_as("GET /api/v1/routes"),
    Endpoint::new(GET, "/getAppsHealth", ANYONE, &[38], || to(document_001::get_apps_health))
        .of_document(1),
    Endpoint::new(GET, "/api/v1/routes", ANYONE, &[38, 39], || to(routes::list)),
    Endpoint::new(GET, "/api/v1/routes", DEPLOYERS, &[38, 39], || to(routes::list)),
    Endpoint::new(POST, "/api/v1/routes", DEPLOYERS, &[37, 39], || to(routes::set)),
    Endpoint::new(DELETE, "/api/v1/routes/{instance}", DEPLOYERS, &[37, 39], || to(routes::remove)),
    Endpoint::new(POST, "/api/v1/routes/{instance}/probe", ASKERS, &[14, 33], || to(routes::probe)),
    Endpoint::new(GET, "/api/v1/routes/{instance}/traffic", DEPLOYERS, &[33, 40], || {
        to(routes::traffic)
    }),
    Endpoint::new(GET, "/api/v1/traffic", SHOWERS, &[40], || to(routes::visitors)),
    Endpoint::new(POST, "/api/v1/edge/routes", PAIR, &[39], || to(edge::take_routes)),
    Endpoint::new(POST, "/api/v1/edge/certificates", PAIR, &[39], || to(edge::take_certificates)),
    Endpoint::new(GET, "/api/v1/edge/in-flight", PAIR, &[39], || to(edge::in_flight)),
    Endpoint::new(GET, "/api/v1/edge/traffic", PAIR, &[39, 40], || to(edge::traffic)),
    Endpoint::new(GET, "/api/v1/edge/visits", PAIR, &[39, 40], || to(edge::visits)),
    Endpoint::new(GET, "/api/v1/certificates", GIVERS, &[39], || to(certificates::list)),
    Endpoint::new(PUT, "/api/v1/certificates/{host}", GIVERS, &[39], || to(certificates::set)),
    Endpoint::new(DELETE, "/api/v1/certificates/{host}", GIVERS, &[39], || {
        to(certificates::remove)
    }),
];

/// How an error of a command is told, with or without HTTP.
pub(crate) fn problem(err: &commands::Error) -> Problem {
    error::refusal(err).0
}

/// For people, probes and document 001's callers.
pub(crate) fn public(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    let document_001_gets = shared.config.document_001_gets;
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::Plain { document_001_gets }, routes);
}

/// For other services.
pub(crate) fn internal(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::MutualTls, routes);
}
