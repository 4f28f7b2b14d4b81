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

use crate::agent::Agent;
use crate::config::Config;
use crate::ledger::Entries;
use crate::local::LocalNodes;
use crate::ports::Ports;
use crate::{cleaning, health, http, keeper, meter};

/// The node agent. It needs nobody to begin: the ledger says what should run.
#[derive(Debug, Clone)]
pub struct NodeAgent {
    agent: Arc<Agent>,
}

impl NodeAgent {
    /// Reads the ledger.
    pub fn open(ports: Ports, config: Config) -> io::Result<Self> {
        Ok(NodeAgent { agent: Arc::new(Agent::open(ports, config)?) })
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
        http::routes(Arc::clone(&self.agent), routes);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(http::ENDPOINTS)
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), Error> {
        let agent = &self.agent;
        tracing::info!(node = %agent.config.node, containers = agent.ledger.read().names().count(), "the ledger was read");
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
        );
        Ok(())
    }
}
