//! What every service process is made of: start and stop, configuration, telemetry, HTTP listeners,
//! the consumer loop, the reconciler driver, de-duplication, owed messages, leadership.
//!
//! Owns how a service runs; never what it decides. Reading order: a service implements
//! [`service::Service`]; [`process::Process`] gives it listeners, signals and loops.

pub mod blocking;
pub mod brake;
pub mod config;
pub mod consumer;
pub mod epoch;
pub mod http;
pub mod leader;
pub mod leading;
pub mod lifecycle;
pub mod metrics;
pub mod operations;
pub mod owed;
pub mod process;
pub mod readiness;
pub mod reconcile;
pub mod records;
pub mod registry;
pub mod service;
pub mod system;
pub mod telemetry;
pub mod tls;
