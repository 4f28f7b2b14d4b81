//! [`LocalRoutes`]: the load balancer for a deployment manager of the same process, without a network
//! between. The same commands as behind `/api/v1/routes`; it only words their errors for the port.

use std::sync::Arc;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::id::Generation;
use common::name::LegacyName;
use common::port::Routes;
use common::port::routes::{Error, Routed, WantedRoute};

use crate::commands::{self, probe_route, remove_route, set_route};
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
}

/// What can pass may be asked again; what the load balancer decided is final.
fn of(err: commands::Error) -> Error {
    match err {
        commands::Error::Stale(generation) => Error::Stale(generation),
        commands::Error::Failed(failure) => Error::Failed(failure),
        commands::Error::Invalid(_) | commands::Error::Deployed(_) => {
            Error::Failed(Failure::new(FailureCode::Internal, err.to_string()))
        }
        commands::Error::Records(_) => Error::Unavailable(err.into()),
    }
}
