//! What the agent takes, what it refuses, and how it says so.

use std::time::Duration;

use common::agent::{Announce, Ensure};
use common::id::Epoch;
use common::port::container::{ContainerFile, ContainerSpec};
use common::port::nodes::{Issuer, Sample};
use common::service::ServiceName::DeploymentManager;
use testkit::containers::Health;

use crate::world::{BUILD_BYTES, World, issuer, with_agent};

async fn ensure(world: &World, spec: ContainerSpec) -> crate::world::Answer {
    let body = Ensure { issuer: issuer(DeploymentManager), spec };
    world.post(DeploymentManager, "/v1/ensure", &body).await
}

#[tokio::test]
async fn a_specification_that_endangers_the_machine_is_refused() {
    with_agent(async |world| {
        let file = |path: &str| ContainerFile { path: path.to_owned(), content: String::new() };
        let mut cases = Vec::new();
        for path in ["/etc/../../host", "relative", "/"] {
            cases.push(("files", ContainerSpec { files: vec![file(path)], ..world.spec() }));
        }
        cases.push(("host_port", ContainerSpec { host_port: 22, ..world.spec() }));
        cases.push(("container_port", ContainerSpec { container_port: 0, ..world.spec() }));
        let environment = [("A=B".to_owned(), String::new())].into();
        cases.push(("environment", ContainerSpec { environment, ..world.spec() }));
        let health_path = Some("//example.org\r\n".to_owned());
        cases.push(("health_path", ContainerSpec { health_path, ..world.spec() }));
        for (field, spec) in cases {
            let answer = ensure(world, spec).await;
            assert_eq!((answer.status, answer.code()), (422, "FIELD_INVALID"), "{field}");
            assert_eq!(answer.body["field"], field);
        }
        assert!(world.engine.containers().is_empty());
    })
    .await;
}

#[tokio::test]
async fn broken_bodies_are_refused() {
    with_agent(async |world| {
        let answer = world.upload(DeploymentManager, "/v1/ensure", b"{".to_vec()).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn an_archive_has_a_largest_size() {
    with_agent(async |world| {
        let path = "/v1/build?repository=apps/shop&service=deployment-manager&epoch=1";
        let answer = world.upload(DeploymentManager, path, vec![0; BUILD_BYTES + 1]).await;
        assert_eq!((answer.status, answer.code()), (413, "BODY_TOO_LARGE"));
        let answer = world.upload(DeploymentManager, path, vec![0; BUILD_BYTES]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn a_repository_is_no_way_to_another_registry() {
    with_agent(async |world| {
        for repository in ["example.org:5000/x", "../x", "-x", "X", ""] {
            let path =
                format!("/v1/build?repository={repository}&service=deployment-manager&epoch=1");
            let answer = world.upload(DeploymentManager, &path, Vec::new()).await;
            assert_eq!(answer.status, 422, "{repository}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn refusals_say_why_by_a_code() {
    with_agent(async |world| {
        world.engine.occupy_port(20_000);
        let answer = ensure(world, world.spec()).await;
        assert_eq!((answer.status, answer.code()), (409, "PORT_TAKEN"));
        world.engine.set_health(Health::Down);
        let answer = ensure(world, world.spec()).await;
        assert_eq!((answer.status, answer.code()), (503, "NODE_UNAVAILABLE"));
        let newer = Issuer { service: DeploymentManager, epoch: Epoch(8) };
        world.post(DeploymentManager, "/v1/announce", &Announce { issuer: newer }).await;
        let answer = ensure(world, world.spec()).await;
        assert_eq!((answer.status, answer.code()), (409, "STALE_EPOCH"));
        assert_eq!(answer.body["seen"], 8);
        let metrics = world.get(DeploymentManager, "/metrics").await.body;
        let counted = "agent_stale_orders_refused_total{service=\"deployment-manager\"} 1\n";
        assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
    })
    .await;
}

#[tokio::test]
async fn samples_come_ten_times_a_second_one_a_line() {
    with_agent(async |world| {
        let mut stream = world.open(DeploymentManager, "/v1/samples").await;
        let mut text = String::new();
        // A busy machine may hold some of them up: five in a row come as they should.
        let paced = async {
            loop {
                let piece = stream.chunk().await.unwrap().unwrap();
                text.push_str(std::str::from_utf8(&piece).unwrap());
                let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
                let samples: Vec<Sample> =
                    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                let four_pauses = |five: &[Sample]| five[4].at.duration_since(five[0].at);
                let fits = |five: &&[Sample]| (350..700).contains(&four_pauses(five).as_millis());
                if let Some(five) = samples.windows(5).find(fits) {
                    return five[4].node;
                }
            }
        };
        let node = tokio::time::timeout(Duration::from_secs(20), paced).await.unwrap();
        assert!(node.memory_total_bytes == 0 || node.memory_percent > 0.0, "{node:?}");
    })
    .await;
}

#[tokio::test]
async fn a_follower_of_output_hears_what_comes() {
    with_agent(async |world| {
        ensure(world, world.spec()).await;
        world.engine.print(&world.spec().name(), "hello");
        let path = "/v1/logs/shop_instance_1?tail=10&follow=true";
        let mut stream = world.open(DeploymentManager, path).await;
        let first = tokio::time::timeout(Duration::from_secs(5), stream.chunk()).await.unwrap();
        assert_eq!(first.unwrap().unwrap(), "hello\n");
    })
    .await;
}
