//! The load balancer as a service of the chassis: its routes and its loops.

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
use chassis::service::{Error, Service};
use chassis::{operations, registry};
use common::port::Routes;
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;

use crate::commands::inbox::Inbox;
use crate::config::Config;
use crate::exports::Exporter;
use crate::local::LocalRoutes;
use crate::ports::Ports;
use crate::reconcile::route::RouteReconciler;
use crate::reconcile::scale::ScaleReconciler;
use crate::reconcile::table::TableReconciler;
use crate::shared::Shared;
use crate::{http, samples, watches};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// How often operations that are too old to be remembered are removed, and how many at once.
const COLLECT_EVERY: Duration = Duration::from_mins(10);
const COLLECT_AT_ONCE: usize = 1000;

/// The load balancer. One value leads once: after a crash, or a stop, a new one is made.
#[derive(Debug, Clone)]
pub struct LoadBalancer {
    shared: Arc<Shared>,
}

impl LoadBalancer {
    pub fn new(ports: Ports, config: Config) -> Self {
        LoadBalancer { shared: Shared::new(ports, config) }
    }

    /// The routes of this load balancer, for a deployment manager of the same process.
    pub fn local_routes(&self) -> Arc<dyn Routes> {
        Arc::new(LocalRoutes(Arc::clone(&self.shared)))
    }

    /// Appears in document 001's registry; waits for the store as long as it takes.
    async fn register(&self, condition: &Condition) {
        let store = &*self.shared.ports.store;
        let advertised = &self.shared.config.advertised.plain;
        let mut retry = FIRST_RETRY;
        while let Err(err) = registry::register(store, ServiceName::LoadBalancer, advertised).await
        {
            condition.fails(err.to_string());
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "the registry cannot be written; trying again"
            );
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
        condition.holds();
    }

    async fn work(&self, lifecycle: &Lifecycle, edge: Condition) {
        let shared = &self.shared;
        let tables = TableReconciler::new(Arc::clone(shared), edge);
        let routes = RouteReconciler::new(Arc::clone(shared));
        let scales = ScaleReconciler { shared: Arc::clone(shared) };
        let quick = Settings {
            last_retry: Duration::from_secs(2),
            deadline: Duration::from_mins(1),
            ..Settings::default()
        };
        let table_driver = Driver::new("table", quick, shared.table_wake.clone());
        let route_driver = Driver::new("routes", quick, shared.route_wake.clone());
        let scale_driver = Driver::new("scales", quick, shared.scale_wake.clone());
        let inbox = Inbox { shared: Arc::clone(shared) };
        let consumer = ConsumerLoop {
            bus: &*shared.ports.bus,
            clock: &*shared.ports.clock,
            service: ServiceName::LoadBalancer,
            topic: Topic::LoadBalancer,
        };
        futures::join!(
            table_driver.run(&tables, lifecycle),
            route_driver.run(&routes, lifecycle),
            scale_driver.run(&scales, lifecycle),
            self.export(lifecycle),
            samples::follow(shared, lifecycle),
            watches::follow_deployments(shared, lifecycle),
            self.collect(lifecycle),
            consumer.run(&inbox, lifecycle),
        );
    }

    async fn export(&self, lifecycle: &Lifecycle) {
        let Some(folder) = self.shared.config.exports.clone() else { return };
        let exporter = Exporter::new(Arc::clone(&self.shared), folder);
        let wake = self.shared.export_wake.clone();
        Driver::new("exports", Settings::default(), wake).run(&exporter, lifecycle).await;
    }

    async fn collect(&self, lifecycle: &Lifecycle) {
        let (store, clock) = (&*self.shared.ports.store, &*self.shared.ports.clock);
        let service = ServiceName::LoadBalancer;
        while !lifecycle.is_stopping() {
            if let Err(err) = operations::collect(store, clock, service, COLLECT_AT_ONCE).await {
                tracing::debug!(
                    error = &err as &dyn std::error::Error,
                    "old operations stay for now"
                );
            }
            tokio::select! {
                biased;
                () = lifecycle.stopping() => {}
                () = tokio::time::sleep(COLLECT_EVERY) => {}
            }
        }
    }
}

#[async_trait]
impl Service for LoadBalancer {
    fn name(&self) -> ServiceName {
        ServiceName::LoadBalancer
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        http::public(&self.shared, routes);
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
        http::internal(&self.shared, routes);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(http::ENDPOINTS)
    }

    fn metrics(&self) -> Registry {
        self.shared.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), Error> {
        let leading = lifecycle.condition("store");
        let edge = lifecycle.condition("edge");
        let store = self.shared.ports.store.as_ref();
        let election = Election {
            store,
            service: ServiceName::LoadBalancer,
            advertised: &self.shared.config.advertised,
        };
        let lead = async {
            let leadership = tokio::select! {
                biased;
                () = lifecycle.stopping() => return Ok(()),
                leadership = election.win(&leading, &lifecycle) => leadership,
            };
            self.shared.take_lead(leadership.lead().clone());
            let work = async {
                self.register(&leading).await;
                let watching = watch_store(store, &leading, &lifecycle);
                futures::join!(self.work(&lifecycle, edge), watching);
            };
            let until_stop = async {
                tokio::select! {
                    biased;
                    () = lifecycle.stopping() => {}
                    () = work => {}
                }
            };
            leadership.during(Box::pin(until_stop)).await
        };
        let result = tokio::select! {
            biased;
            () = self.shared.deposed.cancelled() => Err("another load balancer leads".into()),
            led = lead => led.map_err(Error::from),
        };
        self.shared.ended.cancel();
        result
    }
}
