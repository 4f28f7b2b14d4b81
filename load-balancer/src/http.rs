//! The route table of both listeners.

mod document_001;
mod error;
mod routes;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig, delete, get, post};

use crate::shared::Shared;

/// For people, probes and document 001's callers.
pub(crate) fn public(shared: &Arc<Shared>, config: &mut ServiceConfig) {
    config
        .app_data(Data::from(Arc::clone(shared)))
        .route("/registerApp", get().to(document_001::register_app))
        .route("/deregisterApp", get().to(document_001::deregister_app))
        .route("/getVmDetails", get().to(document_001::get_vm_details))
        .route("/getAppsDetails", get().to(document_001::get_apps_details))
        .route("/getAppsHealth", get().to(document_001::get_apps_health))
        .route("/api/v1/routes", get().to(routes::list));
}

/// For the deployment manager.
pub(crate) fn internal(shared: &Arc<Shared>, config: &mut ServiceConfig) {
    config
        .app_data(Data::from(Arc::clone(shared)))
        .route("/api/v1/routes", get().to(routes::list))
        .route("/api/v1/routes", post().to(routes::set))
        .route("/api/v1/routes/{instance}", delete().to(routes::remove))
        .route("/api/v1/routes/{instance}/probe", post().to(routes::probe));
}
