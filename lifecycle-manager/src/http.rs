//! The HTTP interface: our own for other services and people, and document 000's paths.

mod document_000;
pub(crate) mod machines;
mod refusals;
pub(crate) mod requests;
pub(crate) mod restarts;
mod services;

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
/// Who sees everything, and asks for what people or services need.
const ASKERS: Access = Access::Services(&[
    ServiceName::AppManager,
    ServiceName::Monitoring,
    ServiceName::PlatformInitializer,
]);
/// What only people decide: the app manager has looked at their role.
const PEOPLE: Access = Access::Services(&[ServiceName::AppManager]);

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(GET, "/api/v1/machines", ANYONE, &[10], || to(machines::list)),
    Endpoint::new(GET, "/api/v1/machines", ASKERS, &[10], || to(machines::list)),
    Endpoint::new(POST, "/api/v1/machines", PEOPLE, &[10], || to(machines::add)),
    Endpoint::new(DELETE, "/api/v1/machines/{machine}", PEOPLE, &[10], || to(machines::remove)),
    Endpoint::new(PUT, "/api/v1/machines/{machine}/host-key", PEOPLE, &[10], || to(machines::pin)),
    Endpoint::new(GET, "/api/v1/services", ANYONE, &[16], || to(services::list)),
    Endpoint::new(GET, "/api/v1/services", ASKERS, &[16], || to(services::list)),
    Endpoint::new(GET, "/api/v1/models", ANYONE, &[13], || to(services::models)),
    Endpoint::new(GET, "/api/v1/models", ASKERS, &[13], || to(services::models)),
    Endpoint::new(GET, "/api/v1/restarts", ANYONE, &[11, 12, 13], || to(restarts::list)),
    Endpoint::new(GET, "/api/v1/restarts", ASKERS, &[11, 12, 13], || to(restarts::list)),
    Endpoint::new(POST, "/api/v1/restarts/{family}/{target}", ASKERS, &[11, 12, 13], || {
        to(restarts::ask)
    }),
    Endpoint::new(GET, "/api/v1/requests/{kind}/{request}", ASKERS, &[11, 12, 13], || {
        to(requests::show)
    }),
    Endpoint::new(POST, "/Initialize_Environment", ANYONE, &[10], || {
        to(document_000::initialize_environment)
    })
    .of_document(0),
    Endpoint::new(POST, "/Upload", ANYONE, &[4, 11], || to(document_000::upload)).of_document(0),
    Endpoint::new(POST, "/Containerize", ANYONE, &[4, 11], || to(document_000::containerize))
        .of_document(0),
    Endpoint::new(POST, "/Deploy", ANYONE, &[11], || to(document_000::deploy)).of_document(0),
    Endpoint::new(POST, "/restart", ANYONE, &[12], || to(document_000::restart)).of_document(0),
    Endpoint::new(POST, "/provision", ANYONE, &[10], || to(document_000::provision)).of_document(0),
    Endpoint::new(POST, "/deployApp", ANYONE, &[13], || to(document_000::deploy_app))
        .of_document(0),
    Endpoint::new(POST, "/deployModel", ANYONE, &[13], || to(document_000::deploy_model))
        .of_document(0),
];

/// The plain listener.
pub(crate) fn public_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::Plain { document_001_gets: false }, routes);
}

/// The mutual-TLS listener.
pub(crate) fn internal_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::MutualTls, routes);
}
