//! The node manager as a whole: its routes, and its loops as one tree of futures.

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
use common::port::Drains;
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;

use crate::commands::Commands;
use crate::config::Config;
use crate::local::LocalDrains;
use crate::ports::Ports;
use crate::reconcile::{Leases, Placements, Verdicts};
use crate::shared::Shared;
use crate::{disks, enrolment, http, listen, records, sampling};

/// How often requests that are older than the platform remembers are forgotten, and how many at once.
const COLLECT_EVERY: Duration = Duration::from_mins(10);
const COLLECT: usize = 500;

/// The node manager.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
}

impl Service {
    pub fn new(ports: Ports, config: Config) -> Self {
        Service { shared: Shared::new(ports, config) }
    }

    /// Its drains for an app manager of the same process.
    pub fn local_drains(&self) -> Arc<dyn Drains> {
        Arc::new(LocalDrains(Arc::clone(&self.shared)))
    }
}

#[async_trait]
impl Leader for Service {
    /// A leader whose machine died is followed by one that heard the machine's last sample itself.
    async fn stand_by(&self, _: &Lifecycle) {
        futures::join!(enrolment::follow(&self.shared), listen::listen(&self.shared));
    }

    /// Knows the nodes, and says how it chooses among them.
    async fn start(&self) -> Result<(), service::Error> {
        enrolment::enrol(&self.shared).await?;
        Ok(records::tell_usual_placement(&self.shared).await?)
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        let shared = self.shared.as_ref();
        let (store, clock) = (shared.ports.store.as_ref(), shared.ports.clock.as_ref());
        let service = ServiceName::NodeManager;
        let consumer = ConsumerLoop {
            bus: shared.ports.bus.as_ref(),
            clock,
            service,
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
            () = disks::follow(shared) => {}
            () = sampling::keep_house(shared, lifecycle) => {}
            () = operations::keep_collecting(store, clock, service, COLLECT_EVERY, COLLECT) => {}
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
        Ok(run_until_lost(self, &self.shared.seat, &lifecycle).await?)
    }
}
