//! What is shown of replicas.

use common::failure::{Failure, FailureCode};
use common::id::ReleaseNumber;
use common::name::ContainerName;
use common::port::nodes::Probe;
use common::port::routes::Visitors;
use common::record::deployment::{Deployment, Revision, State};
use common::record::path;
use serde_json::{Value, json};
use testkit::nodes::Reach;
use testkit::routes::Health;

use crate::logs::{image, with_replicas};
use crate::world::{Api, World, dev};

async fn shown(api: &Api) -> Value {
    let shown = api.get("/api/v1/instances/shop", &dev()).await.ok();
    let listed = api.get("/api/v1/instances", &dev()).await.ok();
    assert_eq!(listed, json!([shown]));
    shown
}

async fn states(api: &Api) -> Vec<String> {
    let shown = shown(api).await;
    let replicas = shown["replicas"].as_array().unwrap().iter();
    replicas.map(|replica| replica["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn only_what_its_node_finds_well_is_ready() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            let agents = with_replicas(&world, &["node-1", "node-2"]).await;
            assert_eq!(states(&api).await, ["ready", "ready"]);
            let first = ContainerName::new(&"shop".parse().unwrap(), common::id::SlotNumber(1));
            world.nodes.engine(&agents[0].node).exit(&first, 1);
            assert_eq!(states(&api).await, ["unhealthy", "ready"]);
            world.nodes.script_probes(&image(), [Probe::Unhealthy { status: None }]);
            assert_eq!(states(&api).await, ["unhealthy", "unhealthy"]);
            world.nodes.set_reach(&agents[1].node, Reach::Hung).await;
            assert_eq!(states(&api).await, ["unhealthy", "unreachable"]);
        })
        .await;
}

#[tokio::test]
async fn what_visitors_ask_is_shown_where_the_load_balancer_tells_it() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            with_replicas(&world, &["node-1"]).await;
            assert_eq!(shown(&api).await["traffic"], Value::Null, "nobody has asked");
            let visitors = Visitors {
                seconds: 60,
                requests: 600,
                errors: 6,
                in_flight: 1,
                p50_ms: Some(4),
                p99_ms: Some(80),
            };
            world.routes.set_visitors(&"shop".parse().unwrap(), visitors);
            world.routes.set_visitors(&"other".parse().unwrap(), Visitors::default());
            let at = path::deployment(&"shop".parse().unwrap());
            let mut deployment: Deployment = world.read(&at).unwrap();
            let (generation, release) = (deployment.generation, ReleaseNumber(7));
            deployment.serving = Some(Revision { generation, release, image: image() });
            world.write(&at, &deployment);
            let told = shown(&api).await;
            assert_eq!((&told["traffic"]["requests"], &told["serving"]), (&json!(600), &json!(7)));
            assert_eq!(told["traffic"]["p99_ms"], 80);
            world.routes.set_health(Health::Down);
            assert_eq!(shown(&api).await["traffic"], Value::Null);
        })
        .await;
}

#[tokio::test]
async fn what_goes_wrong_after_the_deploy_is_shown() {
    let world = World::new();
    world
        .during(async |api| {
            let request = api.deployed("shop", &dev()).await;
            with_replicas(&world, &["node-1"]).await;
            world.say(&request, "done shop deploy - 192.0.2.10:2000").await;
            assert_eq!(shown(&api).await["failure"], Value::Null);
            let at = path::deployment(&"shop".parse().unwrap());
            let mut deployment: Deployment = world.read(&at).unwrap();
            let mut failure = Failure::new(FailureCode::CrashLoop, "it ended again and again");
            failure.output = vec!["boom".to_owned()];
            deployment.failure = Some(failure);
            world.write(&at, &deployment);
            let told = shown(&api).await;
            assert_eq!(
                (&told["state"], &told["failure"]["code"]),
                (&json!("deployed"), &json!("CRASH_LOOP"))
            );
            assert_eq!(told["failure"]["output"], json!(["boom"]));
            deployment.state = State::Stopping;
            world.write(&at, &deployment);
            assert_eq!(
                shown(&api).await["failure"],
                Value::Null,
                "what stands in the way may pass"
            );
        })
        .await;
}
