//! The route table. There is one route: what is known of a deployment.

mod deployments;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig, get};

use crate::shared::Shared;

/// The routes of the mutual-TLS listener.
pub(crate) fn routes(config: &mut ServiceConfig, shared: &Arc<Shared>) {
    config
        .app_data(Data::new(Arc::clone(shared)))
        .route("/api/v1/deployments/{instance}", get().to(deployments::show));
}
