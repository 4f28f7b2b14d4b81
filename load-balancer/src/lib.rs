//! The load balancer: owns front ports, routes, the edge's table and the wanted number of replicas.
//!
//! It never touches a container and never carries a request: the edge does, also while this service
//! is down. What it knows is in the store; everything else is rebuilt from there.
//!
//! Reading order: [`service`] is the whole; [`commands`] record what is wanted, [`reconcile`] makes
//! it so, [`domain`] decides.

pub mod config;
pub mod service;

mod balance;
mod commands;
mod domain;
mod exports;
mod follow;
mod http;
mod lists;
mod local;
mod metrics;
mod pair;
mod ports;
mod reconcile;
mod records;
mod samples;
mod seal;
mod shared;
mod traffic;
mod unwell;
mod usual_bounds;
mod visits;
mod watches;

pub use config::Config;
pub use http::ENDPOINTS;
pub use ports::Ports;
pub use service::LoadBalancer;
