//! The node manager: watches, scores and leases. The one authority on which nodes live, and on
//! which of them should take a container.
//!
//! It never touches a container, and speaks to a node only to hear its samples, to see what is on its disk, and to
//! say which images are kept. What it
//! decided is in the store; what it measured is forgotten at its end, but for the hourly log.
//!
//! Reading order: [`service`] is the whole; [`commands`] record what is asked, [`reconcile`] makes
//! it so, [`domain`] decides.

pub mod config;
pub mod service;

mod commands;
mod disks;
mod domain;
mod drains;
mod enrolment;
mod heartbeats;
mod http;
mod listen;
mod local;
mod members;
mod metrics;
mod ports;
mod reconcile;
mod records;
mod sample_log;
mod sampling;
mod shared;

pub use config::Config;
pub use http::ENDPOINTS;
pub use ports::Ports;
pub use service::Service;
