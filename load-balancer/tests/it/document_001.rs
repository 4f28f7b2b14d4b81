//! Document 001's paths and files.

use std::time::Duration;

use common::message::DeploymentCommand;
use common::record::deployment::{Goal, State};
use common::topic::Topic;
use serde_json::json;

use crate::world::{World, export_into, name, until, wanted};

const REGISTER: &str = "/registerApp?vmIp=192.0.2.1&containerId=abc&appName=Old_App&imageName=img&containerPort=5000&hostPort=7000";

fn with_node() -> World {
    let world = World::new();
    world.add_node("node-1", 1);
    world
}

#[tokio::test(start_paused = true)]
async fn an_app_is_registered_served_listed_and_deregistered() {
    let world = with_node();
    world
        .live(async |api| {
            let answer = api.get(REGISTER).await;
            assert_eq!((answer.status, answer.text()), (200, "192.0.2.10:2000"));
            assert_eq!(api.get(REGISTER).await.text(), "192.0.2.10:2000");
            assert_eq!(
                world.edge.begin_request(2000).unwrap().1,
                "192.0.2.1:7000".parse().unwrap()
            );
            world.edge.end_request("192.0.2.1:7000".parse().unwrap());
            let apps = api.get("/getAppsDetails").await.body;
            assert_eq!(
                apps,
                json!([{
                    "appName": "Old_App", "imageName": "img", "hostVm": "node-1", "instances": 1,
                    "containerPort": 5000, "hostPorts": [7000], "nginxPort": 2000,
                    "containerIds": ["abc"], "endpoint": "http://192.0.2.10:2000",
                }])
            );
            let machines = api.get("/getVmDetails").await.body;
            assert_eq!(machines[0]["hosted_apps"], json!(["Old_App"]));
            assert_eq!(machines[0]["latestAvailablePort"], 20000);
            let health = api.get("/getAppsHealth").await.body;
            assert_eq!(health, json!([{ "appName": "Old_App", "stats": [] }]));
            let gone = api.get("/deregisterApp?appName=Old_App").await;
            assert_eq!((gone.status, gone.text()), (200, "Old_App deregistered"));
            assert_eq!(world.routes(), []);
            assert_eq!(api.get("/deregisterApp?appName=Old_App").await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn registering_again_moves_the_app_and_keeps_its_endpoint() {
    let world = with_node();
    world
        .live(async |api| {
            api.get(REGISTER).await;
            let moved = api.get(&REGISTER.replace("7000", "7010")).await;
            assert_eq!(moved.text(), "192.0.2.10:2000");
            assert_eq!(world.edge.row(&name("Old_App")).unwrap().upstreams[0].port, 7010);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_registration_is_refused() {
    let world = with_node();
    world.deploy("shop", Goal::Running, State::Running);
    world
        .live(async |api| {
            let unknown_node = api.get(&REGISTER.replace("192.0.2.1&", "169.254.169.254&")).await;
            let text =
                "not registered. Error - ROUTE_INVALID: 169.254.169.254 is the address of no node";
            assert_eq!((unknown_node.status, unknown_node.text()), (422, text));
            let deployed = api.get(&REGISTER.replace("Old_App", "shop")).await;
            assert_eq!(deployed.status, 409);
            assert!(deployed.text().starts_with("not registered. Error - NAME_TAKEN: shop is"));
            for wrong in ["../x", "a%3Bb", "%24(id)", ""] {
                let answer = api.get(&REGISTER.replace("Old_App", wrong)).await;
                assert_eq!((answer.status, answer.code()), (422, "QUERY_INVALID"), "{wrong}");
            }
            assert_eq!(api.get(&REGISTER.replace("7000", "70000")).await.status, 422);
            assert_eq!(world.routes(), []);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_platform_deployed_is_stopped_by_the_deployment_manager() {
    let world = with_node();
    world.deploy("shop", Goal::Running, State::Running);
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            let deployment_manager = async {
                world.bus.wait_for(Topic::DeploymentManager, |records| !records.is_empty()).await;
                world.deploy("shop", Goal::Stopped, State::Stopping);
                assert_eq!(api.remove("shop", 1).await.status, 200);
                world.deploy("shop", Goal::Stopped, State::Stopped);
            };
            let deregistered = api.get("/deregisterApp?appName=shop");
            let (answer, ()) = futures::join!(deregistered, deployment_manager);
            assert_eq!(answer.text(), "shop deregistered");
            let asked = world.bus.messages(Topic::DeploymentManager);
            let stop = DeploymentCommand::Stop { instance: name("shop") };
            assert_eq!(asked.len(), 1);
            assert_eq!(asked[0].msg, stop.encode());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_that_failed_the_next_one_is_asked_for_and_waited_for() {
    let world = with_node();
    world.deploy("shop", Goal::Stopped, State::Failed);
    world
        .live(async |api| {
            let deployment_manager = async {
                world.bus.wait_for(Topic::DeploymentManager, |records| !records.is_empty()).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                world.deploy_again(2, "shop", Goal::Stopped, State::Stopping);
                tokio::time::sleep(Duration::from_secs(1)).await;
                world.deploy_again(2, "shop", Goal::Stopped, State::Stopped);
            };
            let deregistered = api.get("/deregisterApp?appName=shop");
            let (answer, ()) = futures::join!(deregistered, deployment_manager);
            assert_eq!(answer.text(), "shop deregistered");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_under_way_already_is_only_waited_for() {
    let world = with_node();
    world.deploy("shop", Goal::Stopped, State::Stopping);
    world
        .live(async |api| {
            let deployment_manager = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                world.deploy("shop", Goal::Stopped, State::Failed);
            };
            let deregistered = api.get("/deregisterApp?appName=shop");
            let (answer, ()) = futures::join!(deregistered, deployment_manager);
            assert!(answer.text().starts_with("not deregistered. Error - ROUTE_FAILED: "));
            assert_eq!(world.bus.messages(Topic::DeploymentManager), []);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_does_not_come_is_not_claimed() {
    let world = with_node();
    world.deploy("shop", Goal::Running, State::Running);
    world
        .live(async |api| {
            let first = api.get("/deregisterApp?appName=shop").await;
            assert!(first.text().starts_with("not deregistered. Error - DEADLINE_EXCEEDED: "));
            api.get("/deregisterApp?appName=shop").await;
            let asked = world.bus.messages(Topic::DeploymentManager);
            assert_eq!(asked.len(), 2);
            assert_eq!(asked[0].request_id, asked[1].request_id);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_gets_that_act_exist_only_where_a_setting_says_so() {
    let mut world = with_node();
    world.config.document_001_gets = false;
    world
        .live(async |api| {
            for path in [REGISTER, "/deregisterApp?appName=shop", "/registerApp"] {
                let answer = api.get(path).await;
                assert_eq!(
                    (answer.status, answer.code()),
                    (405, "DOCUMENT_001_GETS_OFF"),
                    "{path}"
                );
                assert_eq!(answer.allow.as_deref(), Some(""));
            }
            assert_eq!(world.routes(), []);
            assert_eq!(api.get("/getVmDetails").await.status, 200);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_four_files_are_written_whenever_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = with_node();
    export_into(&mut world, folder.path());
    let text = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap_or_default();
    world
        .live(async |api| {
            api.set(&wanted("shop", 1, &[20000])).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            until("the app is exported", || text("AppDetails.json").contains("\"shop\"")).await;
            assert!(text("VmDetails.json").contains("\"vm_name\": \"node-1\""));
            assert!(text("AppHealth.json").contains("\"stats\": []"));
            assert!(text("NginxPort.json").contains("\"latestAvailablePort\": 2001"));
            std::fs::write(folder.path().join("AppDetails.json"), "[]").unwrap();
            api.set(&wanted("blog", 1, &[20001])).await;
            until("the next change is exported", || text("AppDetails.json").contains("blog")).await;
            assert!(
                text("AppDetails.json").contains("\"shop\""),
                "what stood in the file is never read"
            );
        })
        .await;
}
