//! Who may call what: everything that is not allowed here is refused.

use common::agent::{Announce, Ensure, NeedsAre, Pins, Pull, Remove};
use common::id::Generation;
use common::port::disk::{Collection, Mode, Needs};
use common::port::nodes::Removal;
use common::service::ServiceName::{
    self, AppManager, DeploymentManager, LifecycleManager, LoadBalancer, NodeAgent, NodeManager,
};
use jiff::Timestamp;

use crate::world::{World, issuer, with_agent};

const PROBE: &str = "/v1/probe/shop_instance_1";
const LOGS: &str = "/v1/logs/shop_instance_1?tail=1&follow=false";

/// Calls as `caller`, in its own name, and gives the status.
async fn call(world: &World, caller: ServiceName, what: &str) -> u16 {
    let issuer = issuer(caller);
    let removal = Removal { name: world.spec().name(), generation: Generation(1) };
    let build = format!("/v1/build?repository=apps/x&service={caller}&epoch=1");
    match what {
        "ensure" => {
            world.post(caller, "/v1/ensure", &Ensure { issuer, spec: world.spec() }).await.status
        }
        "remove" => world.post(caller, "/v1/remove", &Remove { issuer, removal }).await.status,
        "pull" => {
            world
                .post(caller, "/v1/pull", &Pull { issuer, image: world.image.clone() })
                .await
                .status
        }
        "announce" => world.post(caller, "/v1/announce", &Announce { issuer }).await.status,
        "build" => world.upload(caller, &build, Vec::new()).await.status,
        "list" => world.get(caller, "/v1/containers").await.status,
        "probe" => world.get(caller, PROBE).await.status,
        "logs" => world.get(caller, LOGS).await.status,
        "disk" => world.get(caller, "/v1/disk").await.status,
        "collect" => {
            let plan = Collection { until_free_bytes: None, mode: Mode::Plan };
            world.post(caller, "/v1/disk/collect", &plan).await.status
        }
        "pins" => {
            let pins = Pins { issuer, pins: Vec::new() };
            world.post(caller, "/v1/disk/pins", &pins).await.status
        }
        "needs" => {
            let needs = Needs { at: Timestamp::UNIX_EPOCH, bundles: Vec::new() };
            world
                .post(caller, "/v1/disk/needs", &NeedsAre { issuer, needs, adds: false })
                .await
                .status
        }
        _ => world.open(caller, "/v1/samples").await.status().as_u16(),
    }
}

#[tokio::test]
async fn each_caller_gets_what_it_needs_and_no_more() {
    let all = [
        "ensure", "pull", "announce", "build", "list", "probe", "logs", "samples", "remove",
        "disk", "collect", "pins", "needs",
    ];
    with_agent(async |world| {
        for (caller, allowed) in [
            (DeploymentManager, &all[..9]),
            (NodeManager, &["announce", "list", "samples", "disk", "collect", "pins", "needs"]),
            (LoadBalancer, &["samples"]),
            (LifecycleManager, &["announce"]),
            (AppManager, &["list", "logs", "samples", "disk", "collect"]),
            (NodeAgent, &[]),
        ] {
            for what in all {
                let status = call(world, caller, what).await;
                let is_allowed = allowed.contains(&what);
                assert_eq!(status != 403, is_allowed, "{caller} {what}: {status}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_speaks_for_another_service() {
    with_agent(async |world| {
        let body = Announce { issuer: issuer(DeploymentManager) };
        assert_eq!(world.post(NodeManager, "/v1/announce", &body).await.status, 403);
    })
    .await;
}
