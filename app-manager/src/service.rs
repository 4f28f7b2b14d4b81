//! The app manager as a whole: its routes, and its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::lifecycle::Lifecycle;
use chassis::readiness::watch_store;
use chassis::reconcile::{Driver, Settings};
use chassis::{registry, service};
use common::name::UserName;
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;
use tokio::time::sleep;

use crate::commands::hear::Hearing;
use crate::commands::{self, users};
use crate::config::Config;
use crate::context::{self, Context};
use crate::door::Door;
use crate::ports::Ports;
use crate::publish::Publisher;
use crate::{collect, http};

const RETRY: Duration = Duration::from_secs(1);

/// The app manager.
#[derive(Debug)]
pub struct Service {
    context: Arc<Context>,
}

impl Service {
    /// Reads the secret that signs tokens, and empties the staging folder.
    pub fn new(ports: Ports, config: Config) -> Result<Self, context::Error> {
        Ok(Service { context: Arc::new(Context::new(ports, config)?) })
    }

    /// The commands for a caller of the same process, in the name of an admin.
    pub fn door(&self, admin: UserName) -> Door {
        Door::new(Arc::clone(&self.context), admin)
    }

    /// Appears in document 001's registry, and offers the one-time token where there is no admin.
    async fn start(&self) -> Result<(), commands::Error> {
        let context = self.context.as_ref();
        users::offer_first(context).await?;
        let (store, advertised) = (context.ports.store.as_ref(), &context.config.advertised);
        registry::register(store, ServiceName::AppManager, advertised).await?;
        Ok(())
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        let context = self.context.as_ref();
        let consumer = ConsumerLoop {
            bus: context.ports.bus.as_ref(),
            clock: context.ports.clock.as_ref(),
            service: ServiceName::AppManager,
            topic: Topic::FirstTopic,
        };
        let driver = Driver::new("publisher", prompt(), context.wake.clone());
        let (hearing, publisher) = (Hearing(context), Publisher(context));
        let until_stop = async {
            futures::join!(consumer.run(&hearing, lifecycle), driver.run(&publisher, lifecycle),);
        };
        tokio::select! {
            biased;
            () = until_stop => {}
            () = collect::keep_house(context) => {}
        }
    }
}

/// Messages that the bus did not take are offered again soon.
fn prompt() -> Settings {
    Settings {
        last_retry: Duration::from_secs(1),
        deadline: Duration::from_secs(30),
        ..Settings::default()
    }
}

#[async_trait]
impl service::Service for Service {
    fn name(&self) -> ServiceName {
        ServiceName::AppManager
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        http::routes(&self.context, routes);
    }

    fn metrics(&self) -> Registry {
        self.context.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        let condition = lifecycle.condition("store");
        let starting = async {
            while let Err(err) = self.start().await {
                condition.fails(err.to_string());
                tracing::warn!(
                    error = &err as &dyn std::error::Error,
                    "the app manager cannot start yet; trying again"
                );
                sleep(RETRY).await;
            }
        };
        tokio::select! {
            biased;
            () = lifecycle.stopping() => return Ok(()),
            () = starting => {}
        }
        let store = self.context.ports.store.as_ref();
        let ending = async {
            lifecycle.stopping().await;
            self.context.stopping.cancel();
        };
        futures::join!(self.work(&lifecycle), watch_store(store, &condition, &lifecycle), ending);
        Ok(())
    }
}
