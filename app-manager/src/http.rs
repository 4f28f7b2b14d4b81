//! The HTTP interface: `/api/v1` for the command line, and document 001's paths over the same commands.
//!
//! A route exists only as a row of [`ENDPOINTS`], and a row names the action that its caller must
//! be allowed: there is no way to add a route without a policy.

mod apps;
mod certificates;
mod decisions;
mod deployments;
mod disk;
mod document_001;
mod endpoints;
mod instances;
mod keeper;
mod logs;
mod machines;
mod messages;
mod nodes;
mod openapi;
mod operations;
mod platform;
mod problems;
mod releases;
mod replicas;
mod request;
mod rollback;
mod schedules;
mod sign_in;
mod table;
mod upload;
mod users;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};

pub use self::endpoints::ENDPOINTS;
pub use self::openapi::openapi;
use crate::context::Context;

/// Adds all routes.
pub(crate) fn routes(context: &Arc<Context>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(Arc::clone(context)));
    table::mount(ENDPOINTS, routes);
}
