//! The table of routes: every path and method of the service, with what its caller must be allowed.

use actix_web::http::Method;
use actix_web::web::to;
use chassis::http::Endpoint;

use super::document_001::{base_apps, deployed_apps, scheduled_apps};
use super::table::{json, multipart};
use super::{
    apps, certificates, decisions, deployments, disk, instances, logs, machines, messages, nodes,
    openapi, operations, platform, releases, rollback, schedules, sign_in, users,
};
use crate::domain::access::Action::{
    self, ChangeInstance, Deploy, MakeRelease, ManageCertificates, ManageUsers, ReadLogs,
    ReadMessages, ReleaseImage, SeeApps, SeeInstances, SeeInterface, SeeNodes, SeeOperations,
    SeePlatform, SendMessages, SignIn, SwitchPlatform,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

/// Every route of the service besides those that all services have.
pub const ENDPOINTS: &[Endpoint<Action>] = &[
    Endpoint::new(POST, "/api/v1/login", SignIn, &[32], || to(sign_in::sign_in)),
    Endpoint::new(POST, "/api/v1/login/one-time", SignIn, &[32], || to(sign_in::one_time)),
    Endpoint::new(GET, "/api/v1/users", ManageUsers, &[32], || to(users::list)),
    Endpoint::new(POST, "/api/v1/users", ManageUsers, &[32], || to(users::make)),
    Endpoint::new(GET, "/api/v1/certificates", ManageCertificates, &[], || to(certificates::list)),
    Endpoint::new(PUT, "/api/v1/certificates/{host}", ManageCertificates, &[], || {
        to(certificates::set)
    }),
    Endpoint::new(DELETE, "/api/v1/certificates/{host}", ManageCertificates, &[], || {
        to(certificates::remove)
    }),
    Endpoint::new(GET, "/api/v1/openapi.json", SeeInterface, &[], || to(openapi::show)),
    Endpoint::new(GET, "/api/v1/apps", SeeApps, &[27], || to(apps::list)),
    Endpoint::new(GET, "/api/v1/apps/{app}", SeeApps, &[27], || to(apps::show)),
    Endpoint::new(GET, "/api/v1/apps/{app}/releases", SeeApps, &[27], || to(apps::releases)),
    Endpoint::new(POST, "/api/v1/apps/{app}/releases", MakeRelease, &[27], || {
        to(releases::from_bundle).guard(multipart())
    }),
    Endpoint::new(POST, "/api/v1/apps/{app}/releases", ReleaseImage, &[27], || {
        to(releases::from_image).guard(json())
    }),
    Endpoint::new(POST, "/api/v1/apps/{app}/deployments", Deploy, &[28, 33], || {
        to(deployments::deploy)
    }),
    Endpoint::new(GET, "/api/v1/instances", SeeInstances, &[29], || to(instances::list)),
    Endpoint::new(GET, "/api/v1/instances/{name}", SeeInstances, &[29], || to(instances::show)),
    Endpoint::new(DELETE, "/api/v1/instances/{name}", ChangeInstance, &[30, 34], || {
        to(deployments::stop)
    }),
    Endpoint::new(POST, "/api/v1/instances/{name}/scale", ChangeInstance, &[41], || {
        to(deployments::scale)
    }),
    Endpoint::new(GET, "/api/v1/instances/{name}/releases", SeeInstances, &[29], || {
        to(rollback::releases)
    }),
    Endpoint::new(POST, "/api/v1/instances/{name}/rollback", ChangeInstance, &[], || {
        to(rollback::rollback)
    }),
    Endpoint::new(POST, "/api/v1/instances/{name}/promote", ChangeInstance, &[], || {
        to(rollback::promote)
    }),
    Endpoint::new(GET, "/api/v1/instances/{name}/decisions", SeeInstances, &[40], || {
        to(decisions::show)
    }),
    Endpoint::new(GET, "/api/v1/instances/{name}/logs", ReadLogs, &[], || to(logs::read)),
    Endpoint::new(GET, "/api/v1/schedules", SeeInstances, &[29], || to(schedules::list)),
    Endpoint::new(GET, "/api/v1/instances/{name}/schedule", SeeInstances, &[29], || {
        to(schedules::show)
    }),
    Endpoint::new(PUT, "/api/v1/instances/{name}/schedule", Deploy, &[30], || to(schedules::put)),
    Endpoint::new(DELETE, "/api/v1/instances/{name}/schedule", ChangeInstance, &[30], || {
        to(schedules::remove)
    }),
    Endpoint::new(GET, "/api/v1/operations/{request_id}", SeeOperations, &[19, 31], || {
        to(operations::show)
    }),
    Endpoint::new(GET, "/api/v1/nodes", SeeNodes, &[36], || to(nodes::list)),
    Endpoint::new(PUT, "/api/v1/nodes/{node}/drain", SwitchPlatform, &[], || to(nodes::drain)),
    Endpoint::new(DELETE, "/api/v1/nodes/{node}/drain", SwitchPlatform, &[], || {
        to(nodes::take_back)
    }),
    Endpoint::new(GET, "/api/v1/nodes/{node}/disk", SeeNodes, &[36], || to(disk::show)),
    Endpoint::new(POST, "/api/v1/nodes/{node}/disk/collect", SwitchPlatform, &[36], || {
        to(disk::collect)
    }),
    Endpoint::new(GET, "/api/v1/machines", SeePlatform, &[10], || to(machines::list)),
    Endpoint::new(POST, "/api/v1/machines", SwitchPlatform, &[10], || to(machines::add)),
    Endpoint::new(DELETE, "/api/v1/machines/{machine}", SwitchPlatform, &[10], || {
        to(machines::remove)
    }),
    Endpoint::new(PUT, "/api/v1/machines/{machine}/host-key", SwitchPlatform, &[10], || {
        to(machines::pin)
    }),
    Endpoint::new(
        POST,
        "/api/v1/restarts/{family}/{target}",
        SwitchPlatform,
        &[11, 12, 13],
        || to(machines::restart),
    ),
    Endpoint::new(GET, "/api/v1/platform", SeePlatform, &[22], || to(platform::show)),
    Endpoint::new(POST, "/api/v1/platform/start", SwitchPlatform, &[21], || to(platform::start)),
    Endpoint::new(POST, "/api/v1/platform/stop", SwitchPlatform, &[21, 26], || to(platform::stop)),
    Endpoint::new(
        POST,
        "/api/v1/platform/services/{service}/upgrade",
        SwitchPlatform,
        &[16],
        || to(platform::upgrade),
    ),
    Endpoint::new(POST, "/api/v1/platform/services/{service}/move", SwitchPlatform, &[16], || {
        to(platform::relocate)
    }),
    Endpoint::new(POST, "/api/v1/platform/services/{service}/scale", SwitchPlatform, &[16], || {
        to(platform::scale)
    }),
    Endpoint::new(
        GET,
        "/api/v1/platform/operations/{request}",
        SeePlatform,
        &[10, 11, 12, 13, 16, 21],
        || to(platform::operation),
    ),
    Endpoint::new(POST, "/api/v1/messages", SendMessages, &[18], || to(messages::send)),
    Endpoint::new(GET, "/api/v1/messages/{topic}", ReadMessages, &[18], || {
        to(messages::reading::read)
    }),
    Endpoint::new(GET, "/api/baseApp/getapps/", SeeApps, &[27], || to(base_apps::list))
        .of_document(1)
        .same_as("GET /api/v1/apps"),
    Endpoint::new(POST, "/api/baseApp/upload/", MakeRelease, &[27], || to(base_apps::upload))
        .of_document(1)
        .same_as("POST /api/v1/apps/{app}/releases"),
    Endpoint::new(POST, "/api/baseApp/checkfilename/", MakeRelease, &[27], || {
        to(base_apps::check_file_name)
    })
    .of_document(1),
    Endpoint::new(GET, "/api/deployedApps/getDeployedApps/", SeeInstances, &[29], || {
        to(deployed_apps::deployed)
    })
    .of_document(1)
    .same_as("GET /api/v1/instances"),
    Endpoint::new(GET, "/api/deployedApps/getScheduledApps/", SeeInstances, &[29], || {
        to(scheduled_apps::list)
    })
    .of_document(1)
    .same_as("GET /api/v1/schedules"),
    Endpoint::new(GET, "/api/deployedApps/getDeployInProgressApps/", SeeInstances, &[29], || {
        to(deployed_apps::in_progress)
    })
    .of_document(1)
    .same_as("GET /api/v1/instances"),
    Endpoint::new(POST, "/api/deployedApps/deployApp/", Deploy, &[28, 33], || {
        to(deployed_apps::deploy)
    })
    .of_document(1)
    .same_as("POST /api/v1/apps/{app}/deployments"),
    Endpoint::new(POST, "/api/deployedApps/scheduleApp/", Deploy, &[30], || {
        to(scheduled_apps::schedule)
    })
    .of_document(1)
    .same_as("PUT /api/v1/instances/{name}/schedule"),
    Endpoint::new(POST, "/api/deployedApps/stopApp/", ChangeInstance, &[30, 34], || {
        to(deployed_apps::stop)
    })
    .of_document(1)
    .same_as("DELETE /api/v1/instances/{name}"),
];
