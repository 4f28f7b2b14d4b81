//! The contract of parts on the real client and the real agent over mutual TLS; only the agent's container engine is
//! simulated.

use std::sync::Arc;

use common::port::Parts;
use common::port::nodes::{Agent, Error};
use common::service::ServiceName;
use testkit::contract::parts::{World, holds};
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
async fn who_deploys_apps_learns_nothing_of_parts() {
    with_simulated(async |world| {
        let refused = world.served.client.parts(world.agent()).await;
        assert!(matches!(refused, Err(Error::Failed { .. })), "{refused:?}");
    })
    .await;
}
