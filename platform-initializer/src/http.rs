//! The HTTP interface: document 001's paths, and our own over the same commands.
//!
//! There is only the plain listener, for whoever is on the machine: it works before anybody could sign in
//! anywhere, because what people sign in to is started here.

mod document_001;
mod platform;
mod refusals;
mod services;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, mount};

use crate::shared::Shared;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const ANYONE: Access = Access::Anyone;

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(GET, "/start", Access::ActingGet, &[22], || to(document_001::start))
        .of_document(1)
        .same_as("POST /api/v1/platform/start"),
    Endpoint::new(GET, "/stop", Access::ActingGet, &[22], || to(document_001::stop))
        .of_document(1)
        .same_as("POST /api/v1/platform/stop"),
    Endpoint::new(GET, "/status", ANYONE, &[22], || to(document_001::status)).of_document(1),
    Endpoint::new(GET, "/all_services", ANYONE, &[22, 25], || to(document_001::all_services))
        .of_document(1),
    Endpoint::new(GET, "/api/v1/platform", ANYONE, &[22], || to(platform::read)),
    Endpoint::new(POST, "/api/v1/platform/start", ANYONE, &[22], || to(platform::start)),
    Endpoint::new(POST, "/api/v1/platform/stop", ANYONE, &[22, 26], || to(platform::stop)),
    Endpoint::new(POST, "/api/v1/platform/services/{service}/upgrade", ANYONE, &[16], || {
        to(services::upgrade)
    }),
    Endpoint::new(POST, "/api/v1/platform/services/{service}/move", ANYONE, &[16], || {
        to(services::relocate)
    }),
    Endpoint::new(POST, "/api/v1/platform/services/{service}/scale", ANYONE, &[16], || {
        to(services::scale)
    }),
    Endpoint::new(GET, "/api/v1/platform/operations/{request}", ANYONE, &[16, 22], || {
        to(platform::operation)
    }),
];

/// The plain listener.
pub(crate) fn public_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    let document_001_gets = shared.config.document_001_gets;
    routes.app_data(Data::from(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::Plain { document_001_gets }, routes);
}
