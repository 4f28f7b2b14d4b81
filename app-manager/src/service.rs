//! The app manager as a whole: its routes, and its loops as one tree of futures.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::leader::Election;
use chassis::leading::{Leader, run_whenever_won};
use chassis::lifecycle::Lifecycle;
use chassis::readiness::watch_store;
use chassis::reconcile::{Driver, Settings};
use chassis::service;
use common::name::UserName;
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;

use crate::commands::hear::Hearing;
use crate::commands::hear_schedule::Scheduling;
use crate::commands::users;
use crate::config::Config;
use crate::context::{self, Context};
use crate::door::Door;
use crate::ports::Ports;
use crate::publish::Publisher;
use crate::schedules::{self, Schedules};
use crate::{collect, http};

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

    /// Listens to what others ask, whenever this instance leads.
    async fn lead(&self, lifecycle: &Lifecycle) {
        let context = self.context.as_ref();
        let election = Election {
            store: context.ports.store.as_ref(),
            service: ServiceName::AppManager,
            advertised: &context.config.advertised,
        };
        // Nothing of what it knows depends on the lead.
        run_whenever_won(self, &election, lifecycle).await;
    }

    /// Publishes what records owe: those that this instance wrote, and at a scan those of others.
    async fn publish(&self, lifecycle: &Lifecycle) {
        let context = self.context.as_ref();
        let driver = Driver::new("publisher", prompt(), context.wake.clone());
        driver.run(&Publisher(context), lifecycle).await;
    }

    /// Starts and ends what is scheduled. Every instance does: each start and each end is one transaction.
    async fn keep_schedules(&self, lifecycle: &Lifecycle) {
        let context = self.context.as_ref();
        let driver = Driver::new("schedules", schedules::settings(), context.due.clone());
        driver.run(&Schedules(context), lifecycle).await;
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
impl Leader for Service {
    /// Offers the one-time token where there is no admin.
    async fn start(&self) -> Result<(), service::Error> {
        Ok(users::offer_first(&self.context).await?)
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        let context = self.context.as_ref();
        let consumer = ConsumerLoop {
            bus: context.ports.bus.as_ref(),
            clock: context.ports.clock.as_ref(),
            service: ServiceName::AppManager,
            topic: Topic::FirstTopic,
        };
        let (hearing, scheduling) = (Hearing(context), Scheduling(context));
        let scheduler = ConsumerLoop { topic: Topic::Scheduler, ..consumer };
        tokio::select! {
            biased;
            () = consumer.run(&hearing, lifecycle) => {}
            () = scheduler.run(&scheduling, lifecycle) => {}
            () = collect::keep_house(context) => {}
        }
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

    fn any_instance_answers(&self) -> bool {
        true
    }

    /// The one-time token is a file of the leader's.
    fn leader_paths(&self) -> &'static [&'static str] {
        &["/api/v1/login/one-time"]
    }

    fn metrics(&self) -> Registry {
        self.context.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        let condition = lifecycle.condition("store");
        let store = self.context.ports.store.as_ref();
        let ending = async {
            lifecycle.stopping().await;
            self.context.stopping.cancel();
        };
        futures::join!(
            self.lead(&lifecycle),
            self.publish(&lifecycle),
            self.keep_schedules(&lifecycle),
            watch_store(store, &condition, &lifecycle),
            ending,
        );
        Ok(())
    }
}
