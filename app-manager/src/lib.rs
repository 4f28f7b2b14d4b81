//! The app manager: the user's door. Users, bundles, releases, what users ask of instances, and when.
//!
//! Only writer of `users/`, `apps/`, `instances/` and `schedules/`. Never starts or stops a container, never talks to a
//! node but to read output: it records what is wanted, tells the deployment manager, and hears what
//! became of it.

mod bundle;
mod collect;
mod commands;
pub mod config;
mod context;
mod domain;
mod door;
mod http;
mod metrics;
mod people;
mod ports;
mod publish;
mod records;
mod schedules;
mod service;
mod staging;

pub use config::Config;
pub use context::Error;
pub use domain::access::{Action, Grant, Role, grant};
pub use door::{Door, Refused};
pub use http::{ENDPOINTS, openapi};
pub use people::secret::Error as SecretError;
pub use ports::Ports;
pub use service::Service;
