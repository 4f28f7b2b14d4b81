//! The routes of the mutual-TLS listener.

use actix_web::dev::Service as _;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage as _};
use chassis::http::Caller;
use chassis::service::Service as _;
use common::service::ServiceName;
use deployment_manager::DeploymentManager;
use serde_json::Value;

use crate::world::World;

async fn get(world: &World, path: &str) -> (u16, Value) {
    get_as(ServiceName::AppManager, world, path).await
}

async fn get_as(caller: ServiceName, world: &World, path: &str) -> (u16, Value) {
    let service = DeploymentManager::new(world.ports(), world.config.clone());
    let app = App::new()
        .app_data(chassis::http::path_config())
        .wrap_fn(move |request, service| {
            request.extensions_mut().insert(Caller(caller));
            service.call(request)
        })
        .configure(|routes| service.internal_routes(routes));
    let app = init_service(app).await;
    let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
    let status = response.status().as_u16();
    let body = read_body(response).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[actix_web::test]
async fn a_deployment_is_shown_without_what_it_owes() {
    let world = World::new();
    tokio::time::pause();
    world.live(world.deployed(1, "shop")).await;
    let (status, body) = get(&world, "/api/v1/deployments/shop").await;
    assert_eq!(
        (status, &body["state"], &body["owed"]),
        (200, &"running".into(), &Value::Array(Vec::new()))
    );
    let (status, body) = get(&world, "/api/v1/deployments/other").await;
    assert_eq!((status, &body["code"]), (404, &"UNKNOWN_INSTANCE".into()));
    let (status, body) = get(&world, "/api/v1/deployments/not%20a%20name").await;
    assert_eq!((status, &body["code"]), (422, &"NAME_INVALID".into()));
    let (status, body) = get_as(ServiceName::NodeManager, &world, "/api/v1/deployments/shop").await;
    assert_eq!((status, &body["code"]), (403, &"CALLER_FORBIDDEN".into()));
    world.store.go_down();
    let (status, body) = get(&world, "/api/v1/deployments/shop").await;
    assert_eq!((status, &body["code"]), (503, &"STORE_UNAVAILABLE".into()));
}
