//! The agent as a service of the chassis: its routes and its loops.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::http::callers;
use chassis::lifecycle::Lifecycle;
use chassis::service::{Error, Service};
use common::id::Epoch;
use common::port::Nodes;
use common::service::ServiceName;
use prometheus::Registry;

use crate::agent::Agent;
use crate::config::Config;
use crate::http::Beside;
use crate::ledger::Entries;
use crate::local::LocalNodes;
use crate::meter::Sampler;
use crate::parts::Parts;
use crate::ports::Ports;
use crate::{cleaning, health, http, keeper, meter, relay};

/// The node agent. It needs nobody to begin: the ledger says what should run.
#[derive(Debug, Clone)]
pub struct NodeAgent {
    agent: Arc<Agent>,
    beside: Beside,
}

impl NodeAgent {
    /// Reads the ledger.
    pub fn open(ports: Ports, config: Config) -> io::Result<Self> {
        let (engine, shares) = (Arc::clone(&ports.parts), Arc::clone(&ports.shares));
        let neighbours = Arc::clone(&ports.neighbours);
        let agent = Arc::new(Agent::open(ports, config)?);
        let ledger = Arc::clone(&agent.ledger);
        let parts = Parts::new(engine, shares, neighbours, ledger, &agent.config);
        Ok(NodeAgent { agent, beside: Beside { parts: Arc::new(parts) } })
    }

    /// The highest epoch that this agent has heard of each service.
    pub fn heard(&self) -> BTreeMap<ServiceName, Epoch> {
        self.agent.ledger.read().heard().clone()
    }

    /// Another store has the word from now on, in which the deployment manager begins after this epoch: what it
    /// says counts, also where generations are lower than before. Nothing is started or removed by this.
    pub async fn accept_restore(&self, epoch: Epoch) -> io::Result<()> {
        let accept = |entries: &mut Entries| Ok(((), entries.accept_restore(epoch)));
        self.agent.ledger.change(accept).await.map_err(io::Error::other)
    }

    /// What measures this machine and its containers ten times a second while the agent runs.
    pub fn sampler(&self) -> Sampler<'_> {
        Sampler::new(&self.agent)
    }

    /// This agent as the only node that services of the same process know.
    pub fn local_nodes(&self) -> Arc<dyn Nodes> {
        Arc::new(LocalNodes(Arc::clone(&self.agent)))
    }
}

#[async_trait]
impl Service for NodeAgent {
    fn name(&self) -> ServiceName {
        ServiceName::NodeAgent
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
        http::routes(Arc::clone(&self.agent), self.beside.clone(), routes);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(http::ENDPOINTS)
    }

    fn metrics(&self) -> Registry {
        self.agent.ledger.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), Error> {
        let agent = &self.agent;
        let ledger = agent.ledger.read();
        let (containers, parts) =
            (ledger.containers().names().count(), ledger.parts().names().count());
        tracing::info!(node = %agent.config.node, containers, parts, "the ledger was read");
        let close = async {
            lifecycle.stopping().await;
            agent.closing.cancel();
        };
        futures::join!(
            close,
            agent.wall.hold_up(&lifecycle),
            keeper::run(agent, &lifecycle),
            health::watch(agent, &lifecycle),
            meter::run(agent, &lifecycle),
            cleaning::run(agent, &lifecycle),
            self.beside.parts.run(&agent.config, &lifecycle),
            relay::run(agent.config.relay, &agent.ledger, &lifecycle),
        );
        Ok(())
    }
}
