//! The lifecycle manager: keeps machines, the base and the platform's services in their wanted state, and restarts what
//! it is asked to. The only writer of the records of machines and nodes, and the only one that orders parts.
//!
//! It decides nothing about which services there are, and never touches a container of an app.
//!
//! Reading order: [`service`] is the whole; `watch` looks, [`domain`] decides, [`reconcile`] makes it so, [`commands`]
//! record what is asked.

pub mod config;
pub mod ports;
pub mod service;

mod answers;
mod commands;
mod domain;
mod draft;
mod enrol;
mod fleet;
mod http;
mod idle;
mod illness;
mod import;
mod local;
mod metrics;
mod models;
mod reconcile;
mod records;
mod shared;
mod sight;
mod visits;
mod watch;
mod wishes;

pub use config::Config;
pub use enrol::RolloutEnrolment;
pub use http::ENDPOINTS;
pub use ports::{Backends, Ports, Vault};
pub use service::Service;
