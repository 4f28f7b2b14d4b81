//! The service: stands for the lead, says so to every agent once it has it, then runs its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::http::callers;
use chassis::leading::{Leader, run_until_lost};
use chassis::lifecycle::Lifecycle;
use chassis::operations;
use chassis::reconcile::{Driver, Settings};
use chassis::service::{Error, Service};
use common::service::ServiceName;
use common::topic::Topic;
use futures::future::join_all;
use prometheus::Registry;

use crate::commands::Commands;
use crate::config::Config;
use crate::ports::Ports;
use crate::reconcile::Deployments;
use crate::shared::Shared;
use crate::sweep::{self, Nodes};
use crate::{http, rebalance, spares, watches};

/// How long the agents together may take to hear of a new leader; the others hear of it when they
/// can be reached.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(2);
/// How often requests that are older than the platform remembers are forgotten, and how many at once.
const COLLECT_EVERY: Duration = Duration::from_hours(1);
const COLLECT: usize = 1000;

/// The deployment manager.
#[derive(Debug)]
pub struct DeploymentManager {
    shared: Arc<Shared>,
}

impl DeploymentManager {
    pub fn new(ports: Ports, config: Config) -> Self {
        if config.says_placement {
            tracing::warn!(
                "deployment.placement is not followed any more: leave it out; the node manager's `placement` counts"
            );
        }
        DeploymentManager { shared: Shared::new(ports, config) }
    }

    /// Says who leads, before anything else is done.
    async fn announce(&self) {
        let agents = self.shared.fleet.unannounced();
        let announced = agents.iter().map(|agent| sweep::announce(&self.shared, agent));
        let announced = tokio::time::timeout(ANNOUNCE_WITHIN, join_all(announced)).await;
        let failed = announced.into_iter().flatten().filter_map(Result::err);
        for err in failed {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "an agent did not hear who leads"
            );
        }
    }

    async fn run_loops(&self, lifecycle: &Lifecycle) {
        let shared = &self.shared;
        let config = &shared.config;
        let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
        let service = ServiceName::DeploymentManager;
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock,
            service,
            topic: Topic::DeploymentManager,
        };
        let commands = Commands::new(Arc::clone(shared));
        let settings = Settings {
            scan_every: config.scan_every,
            at_once: config.at_once,
            ..Settings::default()
        };
        let deployments = Driver::new("deployments", settings, shared.deployments.clone());
        let nodes = Driver::new("nodes", settings, shared.nodes.clone());
        let make_so = Deployments::new(Arc::clone(shared));
        let sweep = Nodes::new(Arc::clone(shared));
        let loops = async {
            futures::join!(
                consumer.run(&commands, lifecycle),
                deployments.run(&make_so, lifecycle),
                nodes.run(&sweep, lifecycle),
            )
        };
        let collecting = operations::keep_collecting(store, clock, service, COLLECT_EVERY, COLLECT);
        let housekeeping = async {
            futures::join!(
                watches::follow(shared),
                collecting,
                spares::keep(shared),
                rebalance::keep(shared),
            )
        };
        tokio::select! {
            biased;
            _ = loops => {}
            _ = housekeeping => {}
        }
    }
}

#[async_trait]
impl Leader for DeploymentManager {
    async fn start(&self) -> Result<(), Error> {
        Ok(watches::refresh(&self.shared).await?)
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            () = self.announce() => {}
        }
        futures::join!(self.run_loops(lifecycle), self.shared.held.tell(lifecycle));
    }
}

#[async_trait]
impl Service for DeploymentManager {
    fn name(&self) -> ServiceName {
        ServiceName::DeploymentManager
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
        http::routes(routes, &self.shared);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(http::ENDPOINTS)
    }

    fn metrics(&self) -> Registry {
        self.shared.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), Error> {
        Ok(run_until_lost(self, &self.shared.seat, &lifecycle).await?)
    }
}
