//! The node manager as a whole: its routes, and its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::http::callers;
use chassis::leader::Election;
use chassis::lifecycle::{Condition, Lifecycle};
use chassis::readiness::watch_store;
use chassis::reconcile::{Driver, Settings};
use chassis::{registry, service};
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;
use tokio::time::sleep;

use crate::commands::Commands;
use crate::config::Config;
use crate::ports::Ports;
use crate::reconcile::{Leases, Placements, Verdicts};
use crate::records::Error;
use crate::shared::Shared;
use crate::{enrolment, http, listen, sampling};

const RETRY: Duration = Duration::from_secs(1);

/// The node manager.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub fn new(ports: Ports, config: Config) -> Self {
        Service { shared: Shared::new(ports, config) }
    }

    /// Knows the nodes, and appears in document 001's registry.
    async fn start(&self) -> Result<(), Error> {
        let shared = self.shared.as_ref();
        enrolment::enrol(shared).await?;
        let (store, advertised) = (shared.ports.store.as_ref(), &shared.config.advertised.plain);
        registry::register(store, ServiceName::NodeManager, advertised).await?;
        Ok(())
    }

    /// What the leader does.
    async fn lead(&self, led: &Condition, lifecycle: &Lifecycle) {
        let starting = async {
            while let Err(err) = self.start().await {
                led.fails(err.to_string());
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "the node manager cannot start yet; trying again"
                );
                sleep(RETRY).await;
            }
        };
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return,
            () = starting => {}
        }
        let store = self.shared.ports.store.as_ref();
        futures::join!(self.work(lifecycle), watch_store(store, led, lifecycle));
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        let shared = self.shared.as_ref();
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock: shared.ports.clock.as_ref(),
            service: ServiceName::NodeManager,
            topic: Topic::NodeManager,
        };
        let commands = Commands(shared);
        let placements = Driver::new("placements", prompt(), shared.placement_wake.clone());
        let verdicts = Driver::new("verdicts", prompt(), shared.verdict_wake.clone());
        let leases = Driver::new("leases", prompt(), shared.lease_wake.clone());
        let (placing, judging, releasing) = (Placements(shared), Verdicts(shared), Leases(shared));
        let until_stop = async {
            futures::join!(
                consumer.run(&commands, lifecycle),
                placements.run(&placing, lifecycle),
                verdicts.run(&judging, lifecycle),
                leases.run(&releasing, lifecycle),
            );
        };
        tokio::select! {
            biased;
            () = until_stop => {}
            () = listen::listen(shared) => {}
            () = enrolment::follow(shared) => {}
            () = sampling::keep_house(shared, lifecycle) => {}
        }
    }
}

/// Nodes are looked at all the time, and what failed is tried again soon.
fn prompt() -> Settings {
    Settings {
        last_retry: Duration::from_secs(1),
        deadline: Duration::from_mins(1),
        ..Settings::default()
    }
}

#[async_trait]
impl service::Service for Service {
    fn name(&self) -> ServiceName {
        ServiceName::NodeManager
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        http::public_routes(&self.shared, routes);
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
        http::internal_routes(&self.shared, routes);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(http::ENDPOINTS)
    }

    fn metrics(&self) -> Registry {
        self.shared.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        let led = lifecycle.condition("store");
        let shared = self.shared.as_ref();
        let election = Election {
            store: shared.ports.store.as_ref(),
            service: ServiceName::NodeManager,
            advertised: &shared.config.advertised,
        };
        let leadership = tokio::select! {
            biased;
            () = lifecycle.stopping() => return Ok(()),
            leadership = election.win(&led, &lifecycle) => leadership,
        };
        shared.take_lead(leadership.lead().clone());
        tokio::select! {
            biased;
            () = shared.deposed() => Err(Error::Deposed.into()),
            led = leadership.during(self.lead(&led, &lifecycle)) => Ok(led?),
        }
    }
}
