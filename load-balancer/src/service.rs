//! The load balancer as a service of the chassis: its routes and its loops.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use chassis::consumer::ConsumerLoop;
use chassis::http::callers;
use chassis::leading::{Leader, run_until_lost};
use chassis::lifecycle::{Condition, Lifecycle};
use chassis::operations;
use chassis::reconcile::{Driver, Settings};
use chassis::service::{Error, Service};
use common::port::{Certificates, OtherEdge, Routes};
use common::service::ServiceName;
use common::topic::Topic;
use prometheus::Registry;

use crate::commands::inbox::Inbox;
use crate::config::Config;
use crate::exports::Exporter;
use crate::follow::follow;
use crate::local::{LocalCertificates, LocalOtherEdge, LocalRoutes};
use crate::ports::Ports;
use crate::reconcile::announce::AnnounceReconciler;
use crate::reconcile::balance::BalanceReconciler;
use crate::reconcile::certificates::CertificateReconciler;
use crate::reconcile::orders::OrderReconciler;
use crate::reconcile::route::RouteReconciler;
use crate::reconcile::scale::ScaleReconciler;
use crate::reconcile::table::TableReconciler;
use crate::shared::Shared;
use crate::{balance, http, samples, traffic, visits, watches};

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

    /// This load balancer and its edge, for the one beside the other edge if that is of the same process.
    pub fn local_edge(&self) -> Arc<dyn OtherEdge> {
        Arc::new(LocalOtherEdge(Arc::clone(&self.shared)))
    }

    /// Its certificates, for an app manager of the same process.
    pub fn local_certificates(&self) -> Arc<dyn Certificates> {
        Arc::new(LocalCertificates(Arc::clone(&self.shared)))
    }
}

/// What the leader does.
#[derive(Debug)]
struct Loops<'a> {
    shared: &'a Arc<Shared>,
    edge: &'a Condition,
}

impl Loops<'_> {
    async fn run(&self, lifecycle: &Lifecycle) {
        let shared = self.shared;
        let edge = Arc::clone(&shared.edge);
        let tables = TableReconciler::new(Arc::clone(shared), edge, self.edge);
        let routes = RouteReconciler::new(Arc::clone(shared));
        let scales = ScaleReconciler { shared: Arc::clone(shared) };
        let quick = quick();
        let table_driver = Driver::new("table", quick, shared.table_wake.clone());
        let route_driver = Driver::new("routes", quick, shared.route_wake.clone());
        let scale_driver = Driver::new("scales", quick, shared.scale_wake.clone());
        let balances = BalanceReconciler { shared: Arc::clone(shared) };
        let balance_driver = Driver::new("balances", quick, shared.balance_wake.clone());
        let announces = AnnounceReconciler { shared: Arc::clone(shared) };
        let announce_driver = Driver::new("announcements", quick, shared.announce_wake.clone());
        let shown = Arc::clone(&shared.certificates);
        let certificates = CertificateReconciler::new(Arc::clone(shared), shown);
        let certificate_driver =
            Driver::new("certificates", quick, shared.certificate_wake.clone());
        let orders = OrderReconciler::new(Arc::clone(shared));
        let order_driver = Driver::new("orders", few(), shared.order_wake.clone());
        let (store, clock) = (&*shared.ports.store, &*shared.ports.clock);
        let service = ServiceName::LoadBalancer;
        let inbox = Inbox { shared: Arc::clone(shared) };
        let consumer =
            ConsumerLoop { bus: &*shared.ports.bus, clock, service, topic: Topic::LoadBalancer };
        futures::join!(
            table_driver.run(&tables, lifecycle),
            route_driver.run(&routes, lifecycle),
            announce_driver.run(&announces, lifecycle),
            scale_driver.run(&scales, lifecycle),
            balance_driver.run(&balances, lifecycle),
            certificate_driver.run(&certificates, lifecycle),
            order_driver.run(&orders, lifecycle),
            balance::run(shared, lifecycle),
            self.export(lifecycle),
            samples::follow(shared, lifecycle),
            self.keep_telling(lifecycle),
            visits::follow(shared, lifecycle),
            traffic::follow(shared, lifecycle),
            watches::follow_deployments(shared, lifecycle),
            operations::keep_collecting(store, clock, service, COLLECT_EVERY, COLLECT_AT_ONCE),
            consumer.run(&inbox, lifecycle),
        );
    }

    /// The other edge of a pair.
    async fn keep_telling(&self, lifecycle: &Lifecycle) {
        let Some(pair) = &self.shared.pair else { return };
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = pair.keep_telling() => {}
        }
    }

    async fn export(&self, lifecycle: &Lifecycle) {
        let Some(folder) = self.shared.config.exports.clone() else { return };
        let exporter = Exporter::new(Arc::clone(self.shared), folder);
        let wake = self.shared.export_wake.clone();
        Driver::new("exports", Settings::default(), wake).run(&exporter, lifecycle).await;
    }
}

/// Visitors wait for what these loops do.
fn quick() -> Settings {
    Settings {
        last_retry: Duration::from_secs(2),
        deadline: Duration::from_mins(1),
        ..Settings::default()
    }
}

/// The authority is asked by this loop, and takes its time.
fn few() -> Settings {
    Settings {
        at_once: 4,
        first_retry: Duration::from_secs(1),
        last_retry: Duration::from_mins(1),
        deadline: Duration::from_mins(5),
        ..Settings::default()
    }
}

#[async_trait]
impl Leader for Loops<'_> {
    async fn work(&self, lifecycle: &Lifecycle) {
        // The own edge has one teller: who followed until now ends first.
        self.shared.leads.cancel();
        let _telling = self.shared.telling.lock().await;
        self.shared.forget_front_ports();
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = self.run(lifecycle) => {}
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

    fn own_paths(&self) -> &'static [&'static str] {
        http::OWN_PATHS
    }

    fn metrics(&self) -> Registry {
        self.shared.metrics.registry.clone()
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), Error> {
        let edge = lifecycle.condition("edge");
        let loops = Loops { shared: &self.shared, edge: &edge };
        let led = tokio::select! {
            biased;
            led = run_until_lost(&loops, &self.shared.seat, &lifecycle) => led,
            () = follow(&self.shared, &edge, quick(), &lifecycle) => Ok(()),
        };
        self.shared.ended.cancel();
        Ok(led?)
    }
}
