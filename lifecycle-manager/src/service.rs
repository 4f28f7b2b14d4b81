//! The lifecycle manager as a whole: its routes, and its loops as one tree of futures.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::http::callers;
use chassis::leading::{Leader, run_until_lost};
use chassis::lifecycle::Lifecycle;
use chassis::reconcile::{Driver, Settings};
use chassis::{operations, service};
use common::port::Upkeep;
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;
use tokio::time::timeout;

use crate::commands::Commands;
use crate::config::Config;
use crate::domain::brake::Kind;
use crate::local::LocalUpkeep;
use crate::ports::Ports;
use crate::reconcile::{Bases, Duties, Machines, Restarts, Services};
use crate::records::{Alarm, alarm_path, load};
use crate::shared::Shared;
use crate::{fleet, http, import, watch, wishes};

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
        let base = ports.vault.as_ref().and_then(|vault| vault.secrets.configured.base.clone());
        let platform = config.platform.map(|described| described.on(base));
        let config = Config { platform, ..config };
        Service { shared: Shared::new(ports, config) }
    }

    /// What people may ask of this lifecycle manager, for an app manager of the same process.
    pub fn local_upkeep(&self) -> Arc<dyn Upkeep> {
        Arc::new(LocalUpkeep(Arc::clone(&self.shared)))
    }

    async fn run_loops(&self, lifecycle: &Lifecycle) {
        let shared = self.shared.as_ref();
        let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
        let service = ServiceName::LifecycleManager;
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock,
            service,
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
            () = wishes::follow(shared) => {}
            () = operations::keep_collecting(store, clock, service, COLLECT_EVERY, COLLECT) => {}
        }
    }
}

#[async_trait]
impl Leader for Service {
    /// Takes in the description, says to every agent who leads.
    async fn start(&self) -> Result<(), service::Error> {
        let shared = self.shared.as_ref();
        import::import(shared).await?;
        for kind in Kind::ALL {
            let alarm = load::<Alarm>(shared, &alarm_path(kind.into())).await?;
            let alarm = alarm.map(|stored| stored.record).filter(|alarm| alarm.holds);
            shared.resume_brake(kind, alarm.as_ref().is_some_and(|alarm| alarm.is_seen));
            shared.metrics.brake_is(kind, alarm.is_some());
        }
        fleet::refresh(shared).await?;
        // Whoever does not answer is told with the next look.
        if timeout(ANNOUNCE_WITHIN, watch::round(shared)).await.is_err() {
            tracing::warn!("not every agent has heard in time who leads");
        }
        Ok(())
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        futures::join!(self.run_loops(lifecycle), self.shared.held.tell(lifecycle));
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
        let until_given = async {
            self.shared.ports.credentials.changed().await;
            tracing::info!("other credentials were given; the process ends, to begin with them");
            // Gives the lead away, and is started again by whoever keeps it.
            lifecycle.stop();
            pending::<()>().await;
        };
        tokio::select! {
            biased;
            led = run_until_lost(self, &self.shared.seat, &lifecycle) => Ok(led?),
            () = until_given => Ok(()),
        }
    }
}
