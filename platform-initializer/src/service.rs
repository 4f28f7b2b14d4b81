//! The platform initializer as a whole: its routes, and its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::leader::Election;
use chassis::lifecycle::{Condition, Lifecycle};
use chassis::readiness::watch_store;
use chassis::reconcile::{Driver, Settings};
use chassis::{operations, registry, service};
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;
use tokio::time::sleep;

use crate::commands::Commands;
use crate::config::Config;
use crate::ports::Ports;
use crate::reconcile::Platform;
use crate::records::Error;
use crate::shared::Shared;
use crate::{http, watches};

const RETRY: Duration = Duration::from_secs(1);
/// Requests are few: an hour is often enough to forget old ones.
const COLLECT_EVERY: Duration = Duration::from_hours(1);
const COLLECTED_AT_ONCE: usize = 100;

/// The platform initializer.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub fn new(ports: Ports, config: Config) -> Self {
        for line in &config.ignored {
            tracing::info!("{line}");
        }
        Service { shared: Shared::new(ports, config) }
    }

    /// Appears in document 001's registry.
    async fn start(&self) -> Result<(), Error> {
        let shared = self.shared.as_ref();
        let (store, advertised) = (shared.ports.store.as_ref(), &shared.config.advertised.plain);
        registry::register(store, ServiceName::PlatformInitializer, advertised).await?;
        Ok(())
    }

    /// What the leader does.
    async fn lead(&self, led: &Condition, lifecycle: &Lifecycle) {
        let starting = async {
            while let Err(err) = self.start().await {
                led.fails(err.to_string());
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "the platform initializer cannot start yet; trying again"
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
            service: ServiceName::PlatformInitializer,
            topic: Topic::Bootstrapper,
        };
        let commands = Commands(shared);
        let settings = Settings {
            last_retry: Duration::from_secs(1),
            deadline: Duration::from_mins(5),
            ..Settings::default()
        };
        let driver = Driver::new("platform", settings, shared.wake.clone());
        let platform = Platform(shared);
        let until_stop = async {
            futures::join!(
                consumer.run(&commands, lifecycle),
                driver.run(&platform, lifecycle),
                watches::follow(shared, lifecycle),
            );
        };
        tokio::select! {
            biased;
            () = until_stop => {}
            () = collect(shared) => {}
        }
    }
}

/// Forgets requests that are older than the platform remembers them; never ends.
async fn collect(shared: &Shared) {
    let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
    let service = ServiceName::PlatformInitializer;
    loop {
        sleep(COLLECT_EVERY).await;
        let collected = operations::collect(store, clock, service, COLLECTED_AT_ONCE).await;
        if let Err(err) = collected {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "old requests could not be forgotten"
            );
        }
    }
}

#[async_trait]
impl service::Service for Service {
    fn name(&self) -> ServiceName {
        ServiceName::PlatformInitializer
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        http::public_routes(&self.shared, routes);
    }

    /// Where plain listeners are on loopback, whoever asks cannot be sent to another machine. All that is answered
    /// stands in the store, and so does all that is asked for.
    fn any_instance_answers(&self) -> bool {
        true
    }

    fn metrics(&self) -> Registry {
        self.shared.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        let led = lifecycle.condition("store");
        let shared = self.shared.as_ref();
        let election = Election {
            store: shared.ports.store.as_ref(),
            service: ServiceName::PlatformInitializer,
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
