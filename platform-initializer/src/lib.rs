//! The platform initializer: starts and stops the platform's services as a set, says where each should run, and
//! keeps document 001's registry of them.
//!
//! It runs nothing itself: it writes where a service should run, and the lifecycle manager makes it so. Machines,
//! ZooKeeper, Kafka, the image registry, the edge, the lifecycle managers and these initializers are the base:
//! never started or stopped here. It never touches an app, its route or its containers.
//!
//! Reading order: [`service`] is the whole; [`domain`] decides, [`reconcile`] observes and takes one step at a
//! time, [`apply`] does it; [`changes`] sees to what is asked of a single service.

pub mod config;
pub mod service;

mod apply;
mod changes;
mod commands;
mod domain;
mod entries;
mod http;
mod metrics;
mod observe;
mod outcome;
mod ports;
mod reconcile;
mod records;
mod shared;
mod status_file;
mod watches;

pub use config::Config;
pub use http::ENDPOINTS;
pub use ports::Ports;
pub use service::Service;
