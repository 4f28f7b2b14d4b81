//! [`LocalRoutes`], [`LocalCertificates`] and [`LocalOtherEdge`]: the load balancer for others of the same process, without a network
//! between. The same commands as behind its HTTP routes; it only words their errors for the ports.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{HostName, LegacyName};
use common::port::authority::Papers;
use common::port::certificates::{self, HostCertificate, Listed};
use common::port::edge::{self, TakenRoutes, Traffic, Visits};
use common::port::routes::{Error, RouteTraffic, Routed, Visitors, WantedRoute};
use common::port::{Certificates, OtherEdge, Routes};

use crate::commands::{
    self, certificates as keep, probe_route, remove_route, route_traffic, set_route, take,
};
use crate::http::problem;
use crate::shared::Shared;

/// The port of routes on the load balancer of this process.
#[derive(Debug, Clone)]
pub(crate) struct LocalRoutes(pub(crate) Arc<Shared>);

#[async_trait]
impl Routes for LocalRoutes {
    async fn set(&self, route: &WantedRoute) -> Result<Routed, Error> {
        set_route::run(&self.0, route).await.map_err(of)
    }

    async fn remove(&self, instance: &LegacyName, generation: Generation) -> Result<(), Error> {
        remove_route::run(&self.0, instance, generation).await.map_err(of)
    }

    async fn probe(&self, instance: &LegacyName, path: &str) -> Result<Option<u16>, Error> {
        probe_route::run(&self.0, instance, path).await.map_err(of)
    }

    async fn traffic(&self, instance: &LegacyName) -> Result<RouteTraffic, Error> {
        route_traffic::run(&self.0, instance).await.map_err(of)
    }

    async fn visitors(&self) -> Result<BTreeMap<LegacyName, Visitors>, Error> {
        route_traffic::of_apps(&self.0).map_err(of)
    }
}

/// What can pass may be asked again; what the load balancer decided is final.
fn of(err: commands::Error) -> Error {
    match err {
        commands::Error::Stale(generation) => Error::Stale(generation),
        commands::Error::Failed(failure) => Error::Failed(failure),
        commands::Error::Invalid(_)
        | commands::Error::Deployed(_)
        | commands::Error::Unfit(_)
        | commands::Error::NoCertificate(_)
        | commands::Error::Unsealed(_) => {
            Error::Failed(Failure::new(FailureCode::Internal, err.to_string()))
        }
        commands::Error::Records(_) => Error::Unavailable(err.into()),
    }
}

/// The port of certificates on the load balancer of this process.
#[derive(Debug, Clone)]
pub(crate) struct LocalCertificates(pub(crate) Arc<Shared>);

#[async_trait]
impl Certificates for LocalCertificates {
    async fn set(
        &self,
        host: &HostName,
        papers: &Papers,
    ) -> Result<HostCertificate, certificates::Error> {
        keep::set(&self.0, host, papers).await.map_err(worded)
    }

    async fn list(&self) -> Result<Listed, certificates::Error> {
        keep::list(&self.0).await.map_err(worded)
    }

    async fn remove(&self, host: &HostName) -> Result<(), certificates::Error> {
        keep::remove(&self.0, host).await.map_err(worded)
    }
}

fn worded(err: commands::Error) -> certificates::Error {
    match err {
        commands::Error::Records(_) => certificates::Error::Unavailable(err.into()),
        commands::Error::Stale(_)
        | commands::Error::Invalid(_)
        | commands::Error::Deployed(_)
        | commands::Error::Unfit(_)
        | commands::Error::NoCertificate(_)
        | commands::Error::Unsealed(_)
        | commands::Error::Failed(_) => certificates::Error::Refused(Box::new(problem(&err))),
    }
}

/// The edge of this process, and who tells it.
#[derive(Debug, Clone)]
pub(crate) struct LocalOtherEdge(pub(crate) Arc<Shared>);

#[async_trait]
impl OtherEdge for LocalOtherEdge {
    async fn take_routes(&self) -> Result<TakenRoutes, edge::Error> {
        take::routes(&self.0).await.map_err(unavailable)
    }

    async fn take_certificates(&self) -> Result<(), edge::Error> {
        take::certificates(&self.0).await.map_err(unavailable)
    }

    async fn in_flight(&self) -> Result<BTreeMap<SocketAddr, u64>, edge::Error> {
        self.0.ports.edge.in_flight().await
    }

    async fn traffic(&self) -> Result<Traffic, edge::Error> {
        self.0.ports.edge.traffic().await
    }

    async fn visits(&self) -> Result<BTreeMap<LegacyName, Visits>, edge::Error> {
        self.0.ports.edge.visits().await
    }
}

fn unavailable(err: commands::Error) -> edge::Error {
    edge::Error::Unavailable(err.into())
}
