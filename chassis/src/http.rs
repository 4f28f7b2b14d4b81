//! The two listeners of a service: plain HTTP for people and probes, mutual TLS for other services.
//!
//! Owns listeners, the common endpoints, request ids, who may come in, how errors look. A service gives its
//! routes as a table of [`Endpoint`]s.

mod access;
mod caller;
mod common_endpoints;
mod config;
mod endpoint;
mod logs;
mod refusal;
mod server;
mod standby;
mod unread;

pub use caller::Caller;
pub use common_endpoints::ENDPOINTS as COMMON_ENDPOINTS;
pub use config::{Config, Raw};
pub use endpoint::{Access, Endpoint, Listener, callers, mount, register};
pub use refusal::{Refusal, json_config, path_config, query_config};
pub use server::{Error as BindError, Listeners, bind};
