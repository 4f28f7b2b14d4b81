//! The lifecycle manager as a whole: its routes, and its loops as one tree of futures.

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
use chassis::{operations, registry, service};
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;
use tokio::time::{sleep, timeout};

use crate::commands::Commands;
use crate::config::Config;
use crate::domain::brake::Kind;
use crate::ports::Ports;
use crate::reconcile::{Bases, Duties, Machines, Restarts, Services};
use crate::records::{Alarm, Error, alarm_path, load};
use crate::shared::Shared;
use crate::{fleet, http, import, watch};

const RETRY: Duration = Duration::from_secs(1);
/// How long the agents together may take to hear of a new leader; the others hear of it when they answer again.
const ANNOUNCE_WITHIN: Duration = Duration::from_secs(2);
/// How often requests that are older than the platform remembers are forgotten, and how many at once.
const COLLECT_EVERY: Duration = Duration::from_mins(10);
const COLLECT: usize = 500;
/// How often all records are looked at, whatever happened.
const SCAN_EVERY: Duration = Duration::from_secs(10);

/// The lifecycle manager.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub fn new(ports: Ports, config: Config) -> Self {
        Service { shared: Shared::new(ports, config) }
    }

    /// Takes in the description, says to every agent who leads, and appears in document 001's registry.
    async fn start(&self) -> Result<(), Error> {
        let shared = self.shared.as_ref();
        import::import(shared).await?;
        for kind in Kind::ALL {
            let alarm = load::<Alarm>(shared, &alarm_path(kind)).await?;
            let holds = alarm.is_some_and(|alarm| alarm.record.holds);
            shared.resume_brake(kind, holds);
            shared.metrics.brake_is(kind, holds);
        }
        fleet::refresh(shared).await?;
        // Whoever does not answer is told with the next look.
        if timeout(ANNOUNCE_WITHIN, watch::round(shared)).await.is_err() {
            tracing::warn!("not every agent has heard in time who leads");
        }
        let (store, advertised) = (shared.ports.store.as_ref(), &shared.config.advertised.plain);
        registry::register(store, ServiceName::LifecycleManager, advertised).await?;
        Ok(())
    }

    /// What the leader does.
    async fn lead(&self, led: &Condition, lifecycle: &Lifecycle) {
        let starting = async {
            while let Err(err) = self.start().await {
                led.fails(err.to_string());
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "the lifecycle manager cannot start yet; trying again"
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
        futures::join!(
            self.work(lifecycle),
            watch_store(store, led, lifecycle),
            self.tell_held(lifecycle)
        );
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        let shared = self.shared.as_ref();
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock: shared.ports.clock.as_ref(),
            service: ServiceName::LifecycleManager,
            topic: Topic::LifecycleManager,
        };
        let settings = Settings { scan_every: SCAN_EVERY, ..Settings::default() };
        let commands = Commands(shared);
        let machines = Driver::new("machines", settings, shared.machines.clone());
        let bases = Driver::new("bases", settings, shared.bases.clone());
        let services = Driver::new("services", settings, shared.services.clone());
        let restarts = Driver::new("restarts", settings, shared.restarts.clone());
        let duties = Driver::new("duties", settings, shared.duties.clone());
        let (keeping, basing) = (Machines(shared), Bases(shared));
        let (placing, restarting, seeing_to) = (Services(shared), Restarts(shared), Duties(shared));
        let until_stop = async {
            futures::join!(
                consumer.run(&commands, lifecycle),
                machines.run(&keeping, lifecycle),
                bases.run(&basing, lifecycle),
                services.run(&placing, lifecycle),
                restarts.run(&restarting, lifecycle),
                duties.run(&seeing_to, lifecycle),
            );
        };
        tokio::select! {
            biased;
            () = until_stop => {}
            () = watch::watch(shared, lifecycle) => {}
            () = self.collect() => {}
        }
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
                    condition.fails(format!("{nodes}: led from another store, which this one took the place of; nothing is done there"));
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

    /// Never ends.
    async fn collect(&self) {
        let Ports { store, clock, .. } = &self.shared.ports;
        loop {
            sleep(COLLECT_EVERY).await;
            let service = ServiceName::LifecycleManager;
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
impl service::Service for Service {
    fn name(&self) -> ServiceName {
        ServiceName::LifecycleManager
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
            service: ServiceName::LifecycleManager,
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
