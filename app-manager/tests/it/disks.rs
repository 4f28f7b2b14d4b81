//! What the platform has on the disks of its nodes, and its removal.

use common::digest::{Digest, ImageRef};
use common::name::NodeName;
use common::port::disk::{Bundle, Disk, Item, Kind, Reference, Space};
use common::record::node::Node;
use common::record::path;
use jiff::Timestamp;
use serde_json::json;
use testkit::nodes::Reach;

use crate::world::{World, admin, dev};

const DISK: &str = "/api/v1/nodes/node-1/disk";
const COLLECT: &str = "/api/v1/nodes/node-1/disk/collect";

fn item(release: &str, references: Vec<Reference>) -> Item {
    let digest = Digest::of(release.as_bytes());
    Item {
        kind: Kind::Image,
        names: vec![ImageRef::new("apps/shop", digest.clone()).unwrap()],
        digest,
        bytes: 300,
        own_bytes: 200,
        created: Timestamp::UNIX_EPOCH,
        references,
    }
}

/// A platform with a node that has an image that is kept and one that nobody refers to.
fn world() -> (World, NodeName) {
    let world = World::new();
    let agent = world.nodes.add("node-1");
    let name = agent.node.clone();
    let (ip, address) = (agent.address.ip(), agent.address);
    let node = Node {
        schema: 1,
        name: name.clone(),
        ip,
        agent: address,
        os: String::new(),
        leaves: false,
    };
    world.write(&path::node(&name), &node);
    let pinned = Reference::Pinned { by: "kept for shop".to_owned() };
    let images = vec![item("one", Vec::new()), item("two", vec![pinned.clone()])];
    let bundle = |text: &str, bytes, references| Bundle {
        digest: Digest::of(text.as_bytes()),
        bytes,
        references,
    };
    let bundles = vec![bundle("unused", 10, Vec::new()), bundle("used", 20, vec![pinned])];
    let space = Space { total_bytes: 1000, free_bytes: 100 };
    let at = Timestamp::UNIX_EPOCH;
    let disk = Disk { at, space, images, bundles, bundle_space: None };
    world.nodes.set_disk(&name, disk);
    (world, name)
}

#[tokio::test]
async fn an_admin_sees_who_refers_to_what_and_removes_the_rest() {
    let (world, name) = world();
    world
        .during(async |api| {
            let disk = api.get(DISK, &admin()).await.ok();
            assert_eq!(disk["collectable_bytes"], 210);
            assert_eq!(disk["images"][0]["references"], json!([]));
            assert_eq!(disk["images"][1]["references"], json!(["kept for shop"]));
            assert_eq!(disk["bundles"][0]["references"], json!([]));
            assert_eq!(disk["bundles"][1]["references"], json!(["kept for shop"]));
            let plan = json!({ "mode": "plan" });
            let would = api.post(COLLECT, &admin(), plan).await.ok();
            assert_eq!(
                (&would["freed_bytes"], &would["after"]["free_bytes"]),
                (&json!(210), &json!(100))
            );
            assert_eq!(api.get(DISK, &admin()).await.ok()["images"].as_array().unwrap().len(), 2);
            let removal = json!({ "mode": "remove", "until_free_bytes": 500 });
            let done = api.post(COLLECT, &admin(), removal).await.ok();
            assert_eq!(
                (&done["items"][0]["stays"], &done["after"]["free_bytes"]),
                (&json!(null), &json!(310))
            );
            assert_eq!(done["items"][1]["kind"], "bundle");
            let left = api.get(DISK, &admin()).await.ok();
            for what in ["images", "bundles"] {
                assert_eq!(left[what].as_array().unwrap().len(), 1, "{what}");
            }
            world.nodes.set_reach(&name, Reach::Partitioned).await;
            let away = api.get(DISK, &admin()).await;
            assert_eq!((away.status, &away.body["code"]), (503, &json!("NODE_UNAVAILABLE")));
        })
        .await;
}

#[tokio::test]
async fn nobody_else_does_and_what_is_no_node_or_no_wish_is_refused() {
    let (world, _) = world();
    world
        .during(async |api| {
            assert_eq!(api.get(DISK, &dev()).await.status, 403);
            assert_eq!(api.post(COLLECT, &dev(), json!({ "mode": "plan" })).await.status, 403);
            let unknown = api.get("/api/v1/nodes/node-9/disk", &admin()).await;
            assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("NODE_UNKNOWN")));
            for body in
                [json!({}), json!({ "mode": "all" }), json!({ "mode": "plan", "force": true })]
            {
                let refused = api.post(COLLECT, &admin(), body.clone()).await;
                assert!((400..500).contains(&refused.status), "{body}: {refused:?}");
            }
            assert_eq!(api.get(DISK, &admin()).await.ok()["images"].as_array().unwrap().len(), 2);
        })
        .await;
}
