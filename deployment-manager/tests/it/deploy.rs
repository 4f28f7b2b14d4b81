//! `deploy app$…` to the first answer through the front door.

use bytes::Bytes;
use common::id::{ReleaseNumber, RequestId};
use common::message::Envelope;
use common::port::container::ContainerFile;
use common::record::deployment::State;
use common::record::operation::Outcome;
use common::record::path;
use common::topic::Topic;
use serde_json::{Value, json};
use testkit::nodes::Call;
use uuid::Uuid;

use crate::world::{World, image, name, until};

#[tokio::test(start_paused = true)]
async fn an_app_becomes_an_instance_of_its_own_name() {
    let world = World::new();
    world
        .live(async {
            world.deploy(1, "shop");
            assert_eq!(world.told(1).await, "done shop deploy - 192.0.2.10:2000");
            world.settled("shop").await;
        })
        .await;
    let deployment = world.deployment("shop").unwrap();
    assert_eq!((deployment.state, deployment.release), (State::Running, ReleaseNumber(2)));
    world.assert_exact("shop", 1, "deployed");
}

#[tokio::test(start_paused = true)]
async fn the_release_that_was_asked_for_is_deployed_though_reads_lag_behind() {
    let world = World::new();
    world.write_instance("shop", 1, 1);
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.store.freeze_reads();
            world.write_instance("shop", 2, 1);
            world.deploy(2, "shop");
            assert_eq!(world.told(2).await, "done shop deploy - 192.0.2.10:2000");
        })
        .await;
    world.store.thaw_reads();
    assert_eq!(world.deployment("shop").unwrap().release, ReleaseNumber(2));
}

#[tokio::test(start_paused = true)]
async fn an_instance_gets_its_release_its_replicas_and_its_app_json() {
    let world = World::new();
    world.write_instance("shop", 1, 2);
    world.live(world.deployed(1, "shop")).await;
    world.assert_exact("shop", 2, "deployed");
    let specs: Vec<_> = world
        .nodes
        .calls()
        .into_iter()
        .filter_map(|call| if let Call::Ensure { spec, .. } = call { Some(spec) } else { None })
        .collect();
    assert_eq!(specs.len(), 2);
    let spec = &specs[0];
    assert_eq!(spec.image, image(1));
    let app_json = "{\"location\": \"lab\"}".to_owned();
    assert_eq!(spec.files, [ContainerFile { path: "/app/app.json".to_owned(), content: app_json }]);
    let environment: Vec<String> =
        spec.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let node = if spec.host_port == 20001 { "node-2" } else { "node-1" };
    assert_eq!(
        environment,
        [
            "AVISHKAR_APP=shop".to_owned(),
            "AVISHKAR_INSTANCE=shop".to_owned(),
            format!("AVISHKAR_NODE={node}"),
            "AVISHKAR_RELEASE=1".to_owned(),
            "COLOUR=green".to_owned(),
            "PORT=8080".to_owned(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_chain_of_messages_is_document_001s() {
    let world = World::new();
    world.live(world.deployed(1, "shop")).await;
    let asked = world.bus.messages(Topic::NodeManager);
    let expected = Envelope {
        to_topic: Topic::NodeManager,
        from_topic: Topic::DeploymentManager,
        request_id: RequestId(Uuid::from_u128(1)),
        msg: "give best node$shop".to_owned(),
    };
    assert_eq!(asked, [expected]);
    let told = world.bus.records(Topic::FirstTopic);
    assert_eq!(told.len(), 1);
    let record = &told[0].record;
    assert_eq!(record.key.as_deref(), Some("shop"));
    let details: Value = serde_json::from_slice(record.header("details").unwrap()).unwrap();
    let container = world.slots("shop")[0].container_id.clone();
    let replica = json!({
        "slot": 1, "node_id": "node-2", "node_name": "node-2", "node_ip": "192.0.2.102",
        "port": 20001, "container_id": container,
    });
    let expected = json!({
        "app": "shop", "instance": "shop", "release": 2, "replicas": [replica],
        "endpoint": "192.0.2.10:2000",
    });
    assert_eq!(details, expected);
    let outcome = world.outcome(1, "deploy-app");
    assert_eq!(outcome, Some(Outcome::Succeeded { details: Some(details) }));
}

#[tokio::test(start_paused = true)]
async fn agents_hear_who_leads_before_anything_else() {
    let world = World::new();
    world.live(world.deployed(1, "shop")).await;
    let calls: Vec<String> = world.nodes.calls().iter().map(ToString::to_string).collect();
    let first = |node: &str| calls.iter().find(|call| call.ends_with(node)).unwrap();
    assert_eq!(first("node-1"), "announce deployment-manager 1 to node-1");
    assert_eq!(first("node-2"), "announce deployment-manager 1 to node-2");
}

#[tokio::test(start_paused = true)]
async fn scaling_follows_the_load_balancers_wish_without_a_new_generation() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            world.scale("shop", 3);
            until("there are three", || world.registry("shop").len() == 3).await;
            world.settled("shop").await;
            world.assert_exact("shop", 3, "scaled up");
            world.scale("shop", 1);
            until("there is one", || world.slots("shop").len() == 1).await;
            world.settled("shop").await;
        })
        .await;
    world.assert_exact("shop", 1, "scaled down");
    assert_eq!(world.slots("shop")[0].number.0, 1, "the highest numbers leave");
    assert_eq!(world.deployment("shop").unwrap().generation.0, 1);
    assert_eq!(world.bus.records(Topic::FirstTopic).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_route_that_somebody_removed_is_set_again() {
    let world = World::new();
    world
        .live(async {
            world.deployed(1, "shop").await;
            let before = world.routes.upstreams(&name("shop"));
            world.store.seed(
                &path::route(&name("shop")),
                Bytes::from_static(b"{\"schema\":1,\"instance\":\"shop\",\"front_port\":2000,\"host\":\"shop\",\"upstreams\":[],\"generation\":1,\"image\":\"\",\"container_port\":1,\"container_ids\":[]}"),
            );
            world.routes.take_calls();
            until("the route is set", || !world.routes.take_calls().is_empty()).await;
            assert_eq!(world.routes.upstreams(&name("shop")), before);
        })
        .await;
}
