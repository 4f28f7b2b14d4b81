//! The HTTP interface: document 001's path, and our own. All of it only reads.

mod document_001;
mod refusals;
mod verdicts;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, mount};
use common::service::ServiceName;

use crate::shared::Shared;

const GET: Method = Method::GET;
const ANYONE: Access = Access::Anyone;
const READERS: Access = Access::Services(&[ServiceName::AppManager]);

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(GET, "/check_health", ANYONE, &[42], || to(document_001::check_health))
        .of_document(1),
    Endpoint::new(GET, "/api/v1/verdicts", ANYONE, &[14, 42], || to(verdicts::verdicts)),
    Endpoint::new(GET, "/api/v1/verdicts", READERS, &[14, 42], || to(verdicts::verdicts)),
    Endpoint::new(GET, "/api/v1/incidents", ANYONE, &[14], || to(verdicts::incidents)),
    Endpoint::new(GET, "/api/v1/incidents", READERS, &[14], || to(verdicts::incidents)),
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
