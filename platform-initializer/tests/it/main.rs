//! The platform initializer as a whole, over ports in memory, a small lifecycle manager and paused time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what must hold by demanding it"
)]

mod changes;
mod config;
mod crash;
mod failing;
mod http;
mod keeping;
mod lifecycle;
mod routes;
mod starting;
mod stopping;
mod world;
