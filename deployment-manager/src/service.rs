//! The service: stands for the lead, says so to every agent once it has it, then runs its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::http::callers;
use chassis::leader::Election;
use chassis::lifecycle::{Condition, Lifecycle};
use chassis::operations;
use chassis::readiness::watch_store;
use chassis::reconcile::{Driver, Settings};
use chassis::service::{Error, Service};
use chassis::{records, registry};
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
use crate::{http, spares, watches};

const RETRY: Duration = Duration::from_millis(500);
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

/// Another deployment manager has taken over; this one must not go on.
#[derive(Debug, thiserror::Error)]
#[error("another deployment manager leads")]
struct Deposed;

impl DeploymentManager {
    pub fn new(ports: Ports, config: Config) -> Self {
        DeploymentManager { shared: Shared::new(ports, config) }
    }

    /// Says who leads, before anything else is done.
    async fn prepare(&self, store: &Condition) {
        while let Err(err) = self.start().await {
            store.fails(err.to_string());
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "the store is not there yet; trying again"
            );
            tokio::time::sleep(RETRY).await;
        }
        store.holds();
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

    async fn start(&self) -> Result<(), records::Error> {
        let shared = &self.shared;
        let (store, advertised) = (shared.ports.store.as_ref(), &shared.config.advertised.plain);
        registry::register(store, ServiceName::DeploymentManager, advertised).await?;
        watches::refresh(shared).await
    }

    /// What the leader does.
    async fn lead(&self, condition: &Condition, lifecycle: &Lifecycle) {
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            () = self.prepare(condition) => {}
        }
        let store = self.shared.ports.store.as_ref();
        futures::join!(
            self.work(lifecycle),
            watch_store(store, condition, lifecycle),
            self.tell_held(lifecycle)
        );
    }

    /// Says which nodes do not listen because they were led from another store.
    async fn tell_held(&self, lifecycle: &Lifecycle) {
        let condition = lifecycle.condition("nodes");
        let mut held = self.shared.held();
        let telling = async {
            loop {
                let names: Vec<String> =
                    held.borrow_and_update().keys().map(ToString::to_string).collect();
                if names.is_empty() {
                    condition.holds();
                } else {
                    let nodes = names.join(", ");
                    condition.fails(format!("{nodes}: led from another store, which this one took the place of; nothing is started or removed there"));
                }
                if held.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = telling => {}
        }
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        let shared = &self.shared;
        let config = &shared.config;
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock: shared.ports.clock.as_ref(),
            service: ServiceName::DeploymentManager,
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
        let housekeeping =
            async { futures::join!(watches::follow(shared), self.collect(), spares::keep(shared)) };
        tokio::select! {
            biased;
            _ = loops => {}
            _ = housekeeping => {}
        }
    }

    async fn collect(&self) {
        let Ports { store, clock, .. } = &self.shared.ports;
        loop {
            tokio::time::sleep(COLLECT_EVERY).await;
            let service = ServiceName::DeploymentManager;
            let collected =
                operations::collect(store.as_ref(), clock.as_ref(), service, COLLECT).await;
            if let Err(err) = collected {
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "old requests could not be forgotten"
                );
            }
        }
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
        let condition = lifecycle.condition("store");
        let shared = &self.shared;
        let election = Election {
            store: shared.ports.store.as_ref(),
            service: ServiceName::DeploymentManager,
            advertised: &shared.config.advertised,
        };
        let leadership = tokio::select! {
            biased;
            () = lifecycle.stopping() => return Ok(()),
            leadership = election.win(&condition, &lifecycle) => leadership,
        };
        shared.take_lead(leadership.lead().clone());
        tokio::select! {
            biased;
            () = shared.deposed.notified() => Err(Deposed.into()),
            led = leadership.during(self.lead(&condition, &lifecycle)) => Ok(led?),
        }
    }
}
