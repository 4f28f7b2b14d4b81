//! The route table. There is one route: what is known of a deployment.

mod deployments;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use chassis::http::{Access, Endpoint, Listener, mount};
use common::service::ServiceName;

use crate::shared::Shared;

const READERS: Access = Access::Services(&[ServiceName::AppManager, ServiceName::LoadBalancer]);

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint] =
    &[Endpoint::new(Method::GET, "/api/v1/deployments/{instance}", READERS, &[33], || {
        to(deployments::show)
    })];

/// The routes of the mutual-TLS listener.
pub(crate) fn routes(routes: &mut ServiceConfig, shared: &Arc<Shared>) {
    routes.app_data(Data::new(Arc::clone(shared)));
    mount(ENDPOINTS, Listener::MutualTls, routes);
}
