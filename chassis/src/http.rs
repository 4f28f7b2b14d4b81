//! The two listeners of a service: plain HTTP for people and probes, mutual TLS for other services.
//!
//! Owns listeners, the common endpoints, request ids, how errors look. Never knows a service's routes.

mod access;
mod caller;
mod common_endpoints;
mod config;
mod logs;
mod refusal;
mod server;

pub use caller::Caller;
pub use config::{Config, Problem as ConfigProblem, Raw};
pub use refusal::{Refusal, json_config, path_config, query_config};
pub use server::{Error as BindError, Listeners, bind};
