//! [`LocalRoutes`] and [`LocalCertificates`]: the load balancer for others of the same process, without a network
//! between. The same commands as behind its HTTP routes; it only words their errors for the ports.

use std::sync::Arc;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::{HostName, LegacyName};
use common::port::authority::Papers;
use common::port::certificates::{self, HostCertificate};
use common::port::routes::{Error, RouteTraffic, Routed, WantedRoute};
use common::port::{Certificates, Routes};

use crate::commands::{
    self, certificates as keep, probe_route, remove_route, route_traffic, set_route,
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

    async fn list(&self) -> Result<Vec<HostCertificate>, certificates::Error> {
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
