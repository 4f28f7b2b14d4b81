//! What another agent hears that asks whether it may end its part of an ensemble.

use common::agent::{Consent, EnsurePart};
use common::digest::Digest;
use common::port::nodes::Agent;
use common::port::part::{PartHealth, PartImage, PartSpec};
use common::service::ServiceName::{DeploymentManager, LifecycleManager, NodeAgent};
use testkit::contract;

use crate::world::{Answer, World, issuer, with_agent};

async fn ask(world: &World, node: &str, seconds: u32) -> Answer {
    let (part, node) = ("zookeeper".parse().unwrap(), node.parse().unwrap());
    world.post(NodeAgent, "/v1/parts/consent", &Consent { part, node, seconds }).await
}

/// One of three, which was started just now.
async fn ensure(world: &World) {
    let image = PartImage::Id(Digest::of(b"zookeeper"));
    world.parts.place_image(&image);
    let address = "192.0.2.1:7443".parse().unwrap();
    let ensemble = ["node-1", "node-2", "node-3"];
    let ensemble = ensemble.map(|node| Agent { node: node.parse().unwrap(), address }).into();
    let health = Some(PartHealth { ensemble, ..PartHealth::listens(2181) });
    let spec = PartSpec { health, ..contract::parts::spec("zookeeper", image) };
    let told = EnsurePart { issuer: issuer(LifecycleManager), spec };
    assert_eq!(world.post(LifecycleManager, "/v1/parts/ensure", &told).await.status, 200);
}

#[tokio::test]
async fn who_has_no_such_part_is_refused_and_so_is_everybody_while_the_own_one_starts() {
    with_agent(async |world| {
        assert_eq!(ask(world, "node-2", 60).await.code(), "UNKNOWN_INSTANCE");
        ensure(world).await;
        let refused = ask(world, "node-2", 60).await;
        assert_eq!(refused.status, 200);
        assert_eq!(refused.body["refused"], "its own is starting");
        let stranger = ask(world, "node-4", 60).await;
        assert_eq!(stranger.body["refused"], "it knows of no zookeeper on node-4");
        let itself = ask(world, "node-1", 60).await;
        assert_eq!((itself.status, itself.code()), (422, "FIELD_INVALID"));
        assert_eq!(ask(world, "node-2", 0).await.body, serde_json::json!({}));
        for caller in [DeploymentManager, LifecycleManager] {
            let (part, node) = ("zookeeper".parse().unwrap(), "node-3".parse().unwrap());
            let asked = Consent { part, node, seconds: 60 };
            assert_eq!(world.post(caller, "/v1/parts/consent", &asked).await.status, 403);
        }
    })
    .await;
}
