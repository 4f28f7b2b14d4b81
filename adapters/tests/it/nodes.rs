//! The contract of nodes on the real client and the real agent over mutual TLS; only the agent's
//! container engine is simulated.

use std::any::Any;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use async_trait::async_trait;
use common::port::Nodes;
use common::port::nodes::{Agent, Error};
use common::service::ServiceName;
use testkit::contract::nodes::{World, holds};
use testkit::{ManualClock, MemoryContainers, MemoryRegistry, pki};

use crate::agent::{Served, client, while_serving};
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
async fn an_agent_of_another_platform_is_not_trusted() {
    with_simulated(async |world| {
        let other = pki::folder(&[ServiceName::DeploymentManager]);
        let stranger = client(other.path(), ServiceName::DeploymentManager);
        let refused = stranger.list(&world.served.agent).await;
        assert!(matches!(refused, Err(Error::Unreachable { .. })), "{refused:?}");
    })
    .await;
}
