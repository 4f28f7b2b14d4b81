//! The contract of parts on the real client and the real agent over mutual TLS; only the agent's container engine is
//! simulated.

use std::sync::Arc;

use common::agent::{Consent, Consented};
use common::digest::Digest;
use common::id::Epoch;
use common::port::Parts;
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{PartHealth, PartImage, PartSpec};
use common::service::ServiceName;
use testkit::contract::parts::{World, holds, spec};
use testkit::{ManualClock, MemoryPartContainers, MemoryRegistry};

use crate::agent::{Served, while_serving_parts};

struct Simulated<'a> {
    served: &'a Served,
    client: adapters::AgentClient,
    engine: MemoryPartContainers,
    registry: MemoryRegistry,
}

impl World for Simulated<'_> {
    fn parts(&self) -> &dyn Parts {
        &self.client
    }

    fn agent(&self) -> &Agent {
        &self.served.agent
    }

    fn engine(&self) -> &MemoryPartContainers {
        &self.engine
    }

    fn registry(&self) -> &MemoryRegistry {
        &self.registry
    }
}

/// Serves an agent of a simulated engine while `ask` asks it.
async fn with_simulated(ask: impl AsyncFnOnce(&Simulated<'_>)) {
    let registry = MemoryRegistry::default();
    let clock = Arc::new(ManualClock::ticking());
    let engine = MemoryPartContainers::new(clock, registry.clone());
    while_serving_parts(Arc::new(engine.clone()), async |served| {
        let client = served.client_of(ServiceName::LifecycleManager);
        ask(&Simulated { served, client, engine, registry }).await;
    })
    .await;
}

#[tokio::test]
async fn the_contract_is_kept() {
    with_simulated(async |world| holds(world).await).await;
}

#[tokio::test]
async fn one_agent_asks_another_for_its_consent_and_no_other_service_does() {
    with_simulated(async |world| {
        let asked = |node: &str| {
            let (part, node) = ("zookeeper".parse().unwrap(), node.parse().unwrap());
            Consent { part, node, seconds: 60 }
        };
        let neighbour = world.served.client_of(ServiceName::NodeAgent);
        let image = PartImage::Id(Digest::of(b"zookeeper"));
        world.engine.place_image(&image);
        let other = Agent { node: "node-2".parse().unwrap(), ..world.agent().clone() };
        let health = PartHealth { ensemble: vec![other], ..PartHealth::listens(2181) };
        let spec = PartSpec { health: Some(health), ..spec("zookeeper", image) };
        let issuer = Issuer { service: ServiceName::LifecycleManager, epoch: Epoch(0) };
        world.client.ensure_part(world.agent(), issuer, &spec).await.unwrap();
        let given_back = Consent { seconds: 0, ..asked("node-2") };
        let said = neighbour.consent(world.agent(), &given_back).await.unwrap();
        assert_eq!(said, Consented { refused: None });
        let refused = neighbour.consent(world.agent(), &asked("node-3")).await.unwrap();
        assert!(refused.refused.is_some_and(|why| why.contains("node-3")));
        let manager = world.client.consent(world.agent(), &asked("node-2")).await;
        assert!(matches!(manager, Err(Error::Failed { .. })), "{manager:?}");
    })
    .await;
}

#[tokio::test]
async fn who_deploys_apps_learns_nothing_of_parts() {
    with_simulated(async |world| {
        let refused = world.served.client.parts(world.agent()).await;
        assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
    })
    .await;
}
