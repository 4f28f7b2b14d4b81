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
use chassis::reconcile::Settings;
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
use crate::reconcile::drive;
use crate::reconcile::orders::OrderReconciler;
use crate::reconcile::route::RouteReconciler;
use crate::reconcile::scale::ScaleReconciler;
use crate::reconcile::table::TableReconciler;
use crate::shared::Shared;
use crate::{balance, http, samples, traffic, usual_bounds, visits, watches};

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

/// What the leader does, and who follows it.
#[derive(Debug)]
struct Loops<'a> {
    shared: &'a Arc<Shared>,
    edge: &'a Condition,
}

impl Loops<'_> {
    async fn run(&self, lifecycle: &Lifecycle) {
        let shared = self.shared;
        let own = || Arc::clone(shared);
        let tables = TableReconciler::new(own(), Arc::clone(&shared.edge), self.edge);
        let certificates = CertificateReconciler::new(own(), Arc::clone(&shared.certificates));
        let (store, clock) = (&*shared.ports.store, &*shared.ports.clock);
        let service = ServiceName::LoadBalancer;
        let inbox = Inbox { shared: own() };
        let consumer =
            ConsumerLoop { bus: &*shared.ports.bus, clock, service, topic: Topic::LoadBalancer };
        let (routes, orders) = (RouteReconciler::new(own()), OrderReconciler::new(own()));
        let announces = AnnounceReconciler { shared: own() };
        let scales = ScaleReconciler { shared: own() };
        let balances = BalanceReconciler { shared: own() };
        futures::join!(
            drive("table", quick(), &shared.table_wake, tables, lifecycle),
            drive("routes", quick(), &shared.route_wake, routes, lifecycle),
            drive("announcements", quick(), &shared.announce_wake, announces, lifecycle),
            drive("scales", quick(), &shared.scale_wake, scales, lifecycle),
            drive("balances", quick(), &shared.balance_wake, balances, lifecycle),
            drive("certificates", quick(), &shared.certificate_wake, certificates, lifecycle),
            drive("orders", few(), &shared.order_wake, orders, lifecycle),
            balance::run(shared, lifecycle),
            usual_bounds::tell(shared),
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
        let wake = &self.shared.export_wake;
        drive("exports", Settings::default(), wake, exporter, lifecycle).await;
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
    async fn stand_by(&self, lifecycle: &Lifecycle) {
        if self.shared.pair.is_some() {
            follow(self.shared, self.edge, quick(), lifecycle).await;
        }
    }

    async fn work(&self, lifecycle: &Lifecycle) {
        self.shared.forget_front_ports();
        // Others wrote until now.
        self.shared.books.forget();
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
        let led = run_until_lost(&loops, &self.shared.seat, &lifecycle).await;
        self.shared.ended.cancel();
        Ok(led?)
    }
}
