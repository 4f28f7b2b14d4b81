//! The contract of nodes on the real client and the real agent over mutual TLS; only the agent's
//! container engine is simulated.

use std::any::Any;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use common::agent::ORDER_BYTES;
use common::id::Epoch;
use common::port::disk::{Bundle, Disk, Need, Needs, Reference};
use common::port::nodes::{Agent, Error, Issuer};
use common::port::{Blobs as _, Nodes};
use common::service::ServiceName;
use testkit::contract::nodes::{World, holds};
use testkit::{ManualClock, MemoryBlobs, MemoryContainers, MemoryRegistry, pki};

use crate::agent::{Served, client, while_serving, while_serving_shelf};
use crate::engine::fresh_port;

struct Simulated<'a> {
    served: &'a Served,
    engine: MemoryContainers,
    registry: MemoryRegistry,
}

/// Serves an agent of a simulated engine while `ask` asks it.
async fn with_simulated(ask: impl AsyncFnOnce(&Simulated<'_>)) {
    let registry = MemoryRegistry::default();
    let engine = MemoryContainers::new(Arc::new(ManualClock::ticking()), registry.clone());
    while_serving(Arc::new(engine.clone()), async |served| {
        ask(&Simulated { served, engine, registry }).await;
    })
    .await;
}

#[async_trait]
impl World for Simulated<'_> {
    fn nodes(&self) -> &dyn Nodes {
        &self.served.client
    }

    fn agent(&self) -> &Agent {
        &self.served.agent
    }

    fn engine(&self) -> &MemoryContainers {
        &self.engine
    }

    fn registry(&self) -> &MemoryRegistry {
        &self.registry
    }

    fn fresh_port(&self) -> u16 {
        fresh_port()
    }

    async fn serve(&self, host_port: u16) -> Box<dyn Any + Send> {
        Box::new(TcpListener::bind((Ipv4Addr::LOCALHOST, host_port)).unwrap())
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    with_simulated(async |world| holds(world).await).await;
}

#[tokio::test]
async fn a_service_may_ask_only_what_it_needs() {
    with_simulated(async |world| {
        let load_balancer = world.served.client_of(ServiceName::LoadBalancer);
        assert!(load_balancer.samples(&world.served.agent).await.is_ok());
        let refused = load_balancer.list(&world.served.agent).await;
        assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_node_is_told_of_all_its_bundles_however_many_they_are() {
    let shelf = MemoryBlobs::new();
    let by = vec![
        "wanted for an instance whose name is as long as names of instances may be"
            .to_owned();
        5
    ];
    let mut bundles = Vec::new();
    for number in 0..6_000 {
        let digest = shelf.put(Bytes::from(number.to_string())).await.unwrap();
        let by = if [0, 5_999].contains(&number) { Vec::new() } else { by.clone() };
        bundles.push(Need { digest, by });
    }
    while_serving_shelf(Arc::new(shelf), async |served| {
        let node_manager = served.client_of(ServiceName::NodeManager);
        let issuer = Issuer { service: ServiceName::NodeManager, epoch: Epoch(1) };
        let look = async || node_manager.disk(&served.agent).await.unwrap();
        let unsaid = |disk: &Disk| {
            let is_unsaid = |one: &&Bundle| one.references.contains(&Reference::Unsaid);
            disk.bundles.iter().filter(is_unsaid).count()
        };
        let needs = Needs { at: look().await.at, bundles };
        assert!(serde_json::to_vec(&needs).unwrap().len() > ORDER_BYTES);
        node_manager.need(&served.agent, issuer, &needs).await.unwrap();
        let disk = look().await;
        assert_eq!((unsaid(&disk), disk.collectable_bundles().count()), (0, 2));
        // What is said next takes the place of all of it.
        let one = Needs { at: disk.at, bundles: needs.bundles[..1].to_vec() };
        node_manager.need(&served.agent, issuer, &one).await.unwrap();
        assert_eq!(unsaid(&look().await), 5_999);
    })
    .await;
}

#[tokio::test]
async fn an_agent_of_another_platform_is_not_trusted() {
    with_simulated(async |world| {
        let other = pki::folder(&[ServiceName::DeploymentManager]);
        let stranger = client(other.path(), ServiceName::DeploymentManager);
        let refused = stranger.list(&world.served.agent).await;
        assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
    })
    .await;
}
