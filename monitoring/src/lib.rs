//! Monitoring: looks at services, nodes and apps, says which are down, and asks for restarts within bounds.
//!
//! It restarts nothing itself, declares no node dead, and holds everything where most of what it looks at seems
//! down at once: then it is more likely cut off than right. What it does not know is never down.
//!
//! Reading order: [`service`] is the whole; [`domain`] decides, [`watch`] goes round all targets and lets
//! [`act`] write down what was decided, [`dues`] sends what is owed.

pub mod config;
pub mod service;

mod act;
mod alerts;
mod discover;
mod domain;
mod dues;
mod housekeeping;
mod http;
mod look;
mod metrics;
mod ports;
mod records;
mod shared;
mod view;
mod watch;

pub use config::Config;
pub use http::ENDPOINTS;
pub use ports::Ports;
pub use service::Service;
