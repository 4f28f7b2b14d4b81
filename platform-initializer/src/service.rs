//! The platform initializer as a whole: its routes, and its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::leading::{Leader, run_until_lost};
use chassis::lifecycle::Lifecycle;
use chassis::reconcile::{Driver, Settings};
use chassis::{operations, service};
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;

use crate::commands::Commands;
use crate::config::Config;
use crate::ports::Ports;
use crate::reconcile::Platform;
use crate::shared::Shared;
use crate::{http, status_file, watches};

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
}

#[async_trait]
impl Leader for Service {
    async fn work(&self, lifecycle: &Lifecycle) {
        let shared = self.shared.as_ref();
        let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
        let service = ServiceName::PlatformInitializer;
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock,
            service,
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
        let collecting =
            operations::keep_collecting(store, clock, service, COLLECT_EVERY, COLLECTED_AT_ONCE);
        tokio::select! {
            biased;
            () = until_stop => {}
            () = collecting => {}
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
        tokio::select! {
            biased;
            ended = run_until_lost(self, &self.shared.seat, &lifecycle) => Ok(ended?),
            () = status_file::keep(&self.shared) => Ok(()),
        }
    }
}
