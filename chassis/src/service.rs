//! The shape of a service.

use actix_web::web::ServiceConfig;
use async_trait::async_trait;
use common::service::ServiceName;
use prometheus::Registry;

use crate::lifecycle::Lifecycle;

/// Why a service's loops ended before they were told to.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One service: its routes and its loops. The process gives it listeners, signals and telemetry.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    fn name(&self) -> ServiceName;

    /// Adds the routes of the plain listener: for people, probes and document 001's callers.
    fn public_routes(&self, _routes: &mut ServiceConfig) {}

    /// Adds the routes of the mutual-TLS listener: for other services. The caller's name is taken
    /// with the extractor [`crate::http::Caller`].
    fn internal_routes(&self, _routes: &mut ServiceConfig) {}

    /// Who may call the mutual-TLS listener at all; everybody else gets 403. Of a table of routes it is
    /// [`crate::http::callers`].
    fn internal_callers(&self) -> Vec<ServiceName> {
        Vec::new()
    }

    /// Whether an instance that stands by answers requests itself; else it sends them to the leader.
    fn any_instance_answers(&self) -> bool {
        false
    }

    /// Paths that only the leader answers where any instance answers the others.
    fn leader_paths(&self) -> &'static [&'static str] {
        &[]
    }

    /// Paths that every instance answers for itself: about what stands beside it.
    fn own_paths(&self) -> &'static [&'static str] {
        &[]
    }

    /// The service's own metrics, shown at `/metrics` beside those of the process.
    fn metrics(&self) -> Registry {
        Registry::new()
    }

    /// Runs the loops of the leader, once this instance leads, until `lifecycle` says stop: see [`crate::leading`].
    /// One tree of futures: dropping it is a crash. Conditions of readiness are registered before the first wait.
    async fn run(&self, lifecycle: Lifecycle) -> Result<(), Error>;
}
