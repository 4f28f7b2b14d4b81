//! Nodes that are drained and returned: an admin's to ask, the node manager's to keep.

use std::collections::BTreeMap;

use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::record::deployment::{Deployment, Slot, SlotState};
use common::record::node::{Alive, Drain, Node, Verdict};
use common::record::path;
use serde_json::{Value, json};

use crate::logs::with_replicas;
use crate::world::{Api, World, admin, dev, user};

const NODES: &str = "/api/v1/nodes";
const DRAIN: &str = "/api/v1/nodes/node-1/drain";

fn name(node: &str) -> NodeName {
    node.parse().unwrap()
}

/// What the node manager writes of a node.
fn is(world: &World, node: &str, verdict: Verdict) {
    let name = name(node);
    let at = path::node(&name);
    if world.read::<Node>(&at).is_none() {
        let (ip, agent) = ("192.0.2.1".parse().unwrap(), "192.0.2.1:7443".parse().unwrap());
        let os = "Debian 13".to_owned();
        world.write(&at, &Node { schema: 1, name: name.clone(), ip, agent, os, leaves: false });
    }
    let (reason, since) = ("why".to_owned(), "2026-01-01T00:00:00Z".parse().unwrap());
    world.write(&path::alive(&name), &Alive { schema: 1, node: name, verdict, reason, since });
}

async fn listed(api: &Api) -> BTreeMap<String, Value> {
    let nodes = api.get(NODES, &admin()).await.ok();
    let nodes = nodes.as_array().unwrap().iter();
    nodes.map(|node| (node["name"].as_str().unwrap().to_owned(), node.clone())).collect()
}

#[tokio::test]
async fn a_node_is_drained_and_returned_again_and_again_and_the_last_one_is_not() {
    let world = World::new();
    world
        .during(async |api| {
            for _ in 0..2 {
                let taken = api.put(DRAIN, &admin(), json!({})).await;
                assert_eq!((taken.status, &taken.body), (202, &json!({ "node": "node-1" })));
            }
            assert_eq!(world.drains.drained(), [name("node-1")]);
            let last = api.put("/api/v1/nodes/node-2/drain", &admin(), json!({})).await;
            assert_eq!(last.told(), (409, "LAST_NODE"));
            for _ in 0..2 {
                assert_eq!(api.delete(DRAIN, &admin()).await.status, 204);
            }
            assert!(world.drains.drained().is_empty());
            let nobody = api.put("/api/v1/nodes/nobody/drain", &admin(), json!({})).await;
            assert_eq!(nobody.told(), (404, "NODE_UNKNOWN"));
            world.drains.set_away(true);
            let away = (503, "NODE_MANAGER_UNAVAILABLE");
            assert_eq!(api.put(DRAIN, &admin(), json!({})).await.told(), away);
            assert_eq!(api.delete(DRAIN, &admin()).await.told(), away);
        })
        .await;
}

#[tokio::test]
async fn only_an_admin_drains_nodes() {
    let world = World::new();
    world
        .during(async |api| {
            for token in [dev(), user()] {
                let forbidden = (403, "FORBIDDEN");
                assert_eq!(api.put(DRAIN, &token, json!({})).await.told(), forbidden);
                assert_eq!(api.delete(DRAIN, &token).await.told(), forbidden);
            }
        })
        .await;
    assert!(world.drains.drained().is_empty());
}

#[tokio::test]
async fn nodes_are_listed_with_their_replicas_and_with_what_keeps_them_there() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            with_replicas(&world, &["node-1", "node-2"]).await;
            let at = path::deployment(&"shop".parse().unwrap());
            let mut deployment: Deployment = world.read(&at).unwrap();
            deployment.slots.push(deployment.slots[0].clone());
            deployment.slots.push(asked_for(&deployment));
            let why = "no live node has room for one more replica";
            deployment.failure = Some(Failure::new(FailureCode::NoNodeFits, why));
            world.write(&at, &deployment);
            is(&world, "node-1", Verdict::Live);
            is(&world, "node-2", Verdict::Live);
            let nodes = listed(&api).await;
            let counts = |nodes: &BTreeMap<String, Value>| {
                [nodes["node-1"]["replicas"].clone(), nodes["node-2"]["replicas"].clone()]
            };
            assert_eq!(counts(&nodes), [json!(2), json!(1)]);
            assert_eq!(nodes["node-1"]["stays"], json!([]), "it is not to be empty");
            assert_eq!(nodes["node-1"]["drained_since"], Value::Null);

            is(&world, "node-1", Verdict::Draining);
            let since = "2026-01-01T00:00:01Z".parse().unwrap();
            let drain = Drain { schema: 1, node: name("node-1"), since };
            world.write(&path::drain(&name("node-1")), &drain);
            let nodes = listed(&api).await;
            assert_eq!(nodes["node-1"]["drained_since"], "2026-01-01T00:00:01Z");
            let stays = json!([{ "instance": "shop", "code": "NO_NODE_FITS", "detail": why }]);
            assert_eq!(nodes["node-1"]["stays"], stays);
            assert_eq!(nodes["node-2"]["stays"], json!([]));
        })
        .await;
}

#[tokio::test]
async fn only_want_of_room_keeps_what_is_on_a_node_there() {
    let world = World::new();
    world
        .during(async |api| {
            api.deployed("shop", &dev()).await;
            with_replicas(&world, &["node-1"]).await;
            is(&world, "node-1", Verdict::Draining);
            let at = path::deployment(&"shop".parse().unwrap());
            let served: Deployment = world.read(&at).unwrap();
            let mut moving = served.clone();
            moving.slots.push(asked_for(&served));
            for (deployment, code, told) in [
                (&served, FailureCode::BuildFailed, 0),
                (&moving, FailureCode::BuildFailed, 0),
                // It is of something that has its place meanwhile.
                (&served, FailureCode::NoNodeFits, 0),
                (&moving, FailureCode::NoNodeFits, 1),
                (&moving, FailureCode::PortsExhausted, 1),
                (&moving, FailureCode::InsufficientStorage, 1),
            ] {
                let failure = Some(Failure::new(code, "why"));
                world.write(&at, &Deployment { failure, ..deployment.clone() });
                let node = listed(&api).await["node-1"].clone();
                assert_eq!(node["replicas"], 1);
                assert_eq!(node["stays"].as_array().unwrap().len(), told, "{code:?} {node}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_drain_that_cannot_be_read_costs_no_more_than_its_time() {
    let world = World::new();
    world
        .during(async |api| {
            is(&world, "node-1", Verdict::Draining);
            is(&world, "node-2", Verdict::Live);
            world.write(&path::drain(&name("node-1")), &"no drain");
            let nodes = listed(&api).await;
            assert_eq!(nodes["node-1"]["verdict"], "draining");
            assert_eq!(nodes["node-1"]["drained_since"], Value::Null);
            assert_eq!(nodes["node-2"]["verdict"], "live");
        })
        .await;
}

/// One more replica, which has no place yet.
fn asked_for(deployment: &Deployment) -> Slot {
    Slot { state: SlotState::Asked, place: None, ..deployment.slots[0].clone() }
}
