//! The table of routes: every path and method of the service, with who may use it.

use actix_web::Route;
use actix_web::http::Method;
use actix_web::web;

use super::table::{Body, Endpoint, Face};
use super::{
    apps, deployments, document_001, instances, logs, messages, nodes, operations, releases,
    sign_in, users,
};
use crate::domain::access::{Action, Grant, Role, grant};

const fn native(
    method: Method,
    path: &'static str,
    action: Action,
    route: fn() -> Route,
) -> Endpoint {
    Endpoint { method, path, action, face: Face::Native, body: Body::Any, route }
}

const fn document_001(
    method: Method,
    path: &'static str,
    action: Action,
    route: fn() -> Route,
) -> Endpoint {
    Endpoint { method, path, action, face: Face::Document001, body: Body::Any, route }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

pub(super) const ENDPOINTS: &[Endpoint] = &[
    native(POST, "/api/v1/login", Action::SignIn, || web::route().to(sign_in::sign_in)),
    native(POST, "/api/v1/login/one-time", Action::SignIn, || web::route().to(sign_in::one_time)),
    native(GET, "/api/v1/users", Action::ManageUsers, || web::route().to(users::list)),
    native(POST, "/api/v1/users", Action::ManageUsers, || web::route().to(users::make)),
    native(GET, "/api/v1/apps", Action::SeeApps, || web::route().to(apps::list)),
    native(GET, "/api/v1/apps/{app}", Action::SeeApps, || web::route().to(apps::show)),
    native(GET, "/api/v1/apps/{app}/releases", Action::SeeApps, || web::route().to(apps::releases)),
    Endpoint {
        method: POST,
        path: "/api/v1/apps/{app}/releases",
        action: Action::MakeRelease,
        face: Face::Native,
        body: Body::Multipart,
        route: || web::route().to(releases::from_bundle),
    },
    Endpoint {
        method: POST,
        path: "/api/v1/apps/{app}/releases",
        action: Action::ReleaseImage,
        face: Face::Native,
        body: Body::Json,
        route: || web::route().to(releases::from_image),
    },
    native(POST, "/api/v1/apps/{app}/deployments", Action::Deploy, || {
        web::route().to(deployments::deploy)
    }),
    native(GET, "/api/v1/instances", Action::SeeInstances, || web::route().to(instances::list)),
    native(GET, "/api/v1/instances/{name}", Action::SeeInstances, || {
        web::route().to(instances::show)
    }),
    native(DELETE, "/api/v1/instances/{name}", Action::ChangeInstance, || {
        web::route().to(deployments::stop)
    }),
    native(POST, "/api/v1/instances/{name}/scale", Action::ChangeInstance, || {
        web::route().to(deployments::scale)
    }),
    native(GET, "/api/v1/instances/{name}/logs", Action::ReadLogs, || web::route().to(logs::read)),
    native(GET, "/api/v1/operations/{request_id}", Action::SeeOperations, || {
        web::route().to(operations::show)
    }),
    native(GET, "/api/v1/nodes", Action::SeeNodes, || web::route().to(nodes::list)),
    native(POST, "/api/v1/messages", Action::SendMessages, || web::route().to(messages::send)),
    document_001(GET, "/api/baseApp/getapps/", Action::SeeApps, || {
        web::route().to(document_001::base_apps::list)
    }),
    document_001(POST, "/api/baseApp/upload/", Action::MakeRelease, || {
        web::route().to(document_001::base_apps::upload)
    }),
    document_001(POST, "/api/baseApp/checkfilename/", Action::MakeRelease, || {
        web::route().to(document_001::base_apps::check_file_name)
    }),
    document_001(GET, "/api/deployedApps/getDeployedApps/", Action::SeeInstances, || {
        web::route().to(document_001::deployed_apps::deployed)
    }),
    document_001(GET, "/api/deployedApps/getScheduledApps/", Action::SeeInstances, || {
        web::route().to(document_001::deployed_apps::scheduled)
    }),
    document_001(GET, "/api/deployedApps/getDeployInProgressApps/", Action::SeeInstances, || {
        web::route().to(document_001::deployed_apps::in_progress)
    }),
    document_001(POST, "/api/deployedApps/deployApp/", Action::Deploy, || {
        web::route().to(document_001::deployed_apps::deploy)
    }),
    document_001(POST, "/api/deployedApps/stopApp/", Action::ChangeInstance, || {
        web::route().to(document_001::deployed_apps::stop)
    }),
];

/// A route as documents and tests list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub method: String,
    pub path: &'static str,
    pub action: Action,
    /// Whether it is one of document 001's paths, with its form of answers.
    pub is_document_001: bool,
    /// Which roles are let in at all; empty where no token is asked for.
    pub roles: Vec<Role>,
}

/// Every route of the service besides those that all services have.
pub fn route_table() -> Vec<Row> {
    let row = |endpoint: &Endpoint| {
        let is_let_in = |role: &Role| grant(*role, endpoint.action) != Grant::Nothing;
        let roles = match endpoint.action {
            Action::SignIn => Vec::new(),
            Action::SeeApps
            | Action::MakeRelease
            | Action::ReleaseImage
            | Action::Deploy
            | Action::SeeInstances
            | Action::ChangeInstance
            | Action::ReadLogs
            | Action::SeeOperations
            | Action::SeeNodes
            | Action::ManageUsers
            | Action::SendMessages => Role::ALL.into_iter().filter(is_let_in).collect(),
        };
        Row {
            method: endpoint.method.to_string(),
            path: endpoint.path,
            action: endpoint.action,
            is_document_001: endpoint.face == Face::Document001,
            roles,
        }
    };
    ENDPOINTS.iter().map(row).collect()
}
