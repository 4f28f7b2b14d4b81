//! The deployment manager: makes a deployment's replicas exist, be routed and registered, or be gone.
//!
//! Owns the records of deployments and builds, and is the only one that starts and stops containers
//! of apps. Never chooses a node, never gives out a port, never decides how many replicas there are:
//! it asks, and makes it so.
//!
//! Reading order: [`service`] is the whole; [`commands`] record what is wanted; [`reconcile`] makes it
//! so, by the [`domain`]'s plan, one [`apply`] and one [`note`] at a time; [`sweep`] removes what
//! nobody wants.

pub mod config;
pub mod service;

mod apply;
mod builds;
mod commands;
mod domain;
mod fleet;
mod hosts;
mod http;
mod metrics;
mod note;
mod notice;
mod observe;
mod ports;
mod rebalance;
mod recipe;
mod reconcile;
mod records;
mod registry;
mod shared;
mod spares;
mod sweep;
mod watches;

pub use config::{Config, Raw};
pub use domain::dockerfile::Images;
pub use domain::patience::Patience;
pub use http::ENDPOINTS;
pub use ports::Ports;
pub use service::DeploymentManager;
