//! Which technology stands behind which port, one file per service: the only place that knows.

pub(crate) mod app_manager;
pub(crate) mod blobs;
pub(crate) mod bootstrapper;
pub(crate) mod bus;
pub(crate) mod deployment_manager;
pub(crate) mod lifecycle_manager;
pub(crate) mod load_balancer;
pub(crate) mod monitoring;
pub(crate) mod node_agent;
pub(crate) mod node_manager;
pub(crate) mod nodes;
pub(crate) mod platform_initializer;
mod sections;
pub(crate) mod settable;
pub(crate) mod store;
mod within;

use std::future::Future;
use std::sync::Arc;

use chassis::config::Problem;
use chassis::service::Service;
use chassis::{http, telemetry};
use common::service::ServiceName;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use within::{Damaged, Neighbours, ThisMachine, Within};

/// What every service's file says besides its own sections.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) http: http::Config,
    pub(crate) telemetry: telemetry::Config,
}

/// A service's configuration file, and how the service is made from it.
pub(crate) trait Wiring: DeserializeOwned + Serialize {
    const SERVICE: ServiceName;
    /// The text of `config/<service>.toml`.
    const DEFAULTS: &'static str;
    /// The file as it is meant.
    type Meant: Send;

    /// All problems at once.
    fn resolve(self) -> Result<(Frame, Self::Meant), Vec<Problem>>;

    /// Connects the ports and makes the service. Waits a bounded time for what is not there yet.
    fn connect(
        meant: Self::Meant,
        frame: &Frame,
    ) -> impl Future<Output = anyhow::Result<Arc<dyn Service>>> + Send;
}

/// Gathers the problems of several sections.
pub(crate) fn take<T>(section: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    match section {
        Ok(value) => Some(value),
        Err(more) => {
            problems.extend(more);
            None
        }
    }
}
