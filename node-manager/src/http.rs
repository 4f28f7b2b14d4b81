//! The HTTP interface: document 001's paths, and our own for the command line and other services.

mod document_001;
mod nodes;
mod refusals;

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};

use crate::shared::Shared;

/// The plain listener.
pub(crate) fn public_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    let mut log = web::resource("/nodemgr/log")
        .route(web::post().to(document_001::take_sample))
        .default_service(web::to(refusals::post_only));
    if shared.config.document_001_gets {
        log = log.route(web::get().to(document_001::take_sample));
    }
    routes
        .app_data(Data::from(Arc::clone(shared)))
        .route("/nodemgr/get-deploy-node", web::get().to(document_001::deploy_node))
        .route("/nodemgr/get-all-nodes-health", web::get().to(document_001::all_nodes_health))
        .service(log)
        .service(
            web::resource("/nodemgr/delete-old-logs")
                .route(web::delete().to(document_001::delete_old_logs))
                .default_service(web::to(refusals::delete_only)),
        );
    native(routes);
}

/// The mutual-TLS listener.
pub(crate) fn internal_routes(shared: &Arc<Shared>, routes: &mut ServiceConfig) {
    routes.app_data(Data::from(Arc::clone(shared)));
    native(routes);
}

fn native(routes: &mut ServiceConfig) {
    routes
        .route("/api/v1/nodes", web::get().to(nodes::list))
        .route("/api/v1/nodes/{node}/samples", web::get().to(nodes::samples));
}
