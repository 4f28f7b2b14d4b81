//! The lifecycle manager as a whole, over ports in memory and on paused time.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by demanding it")]

mod brake;
mod crash;
mod http;
mod machines;
mod registry;
mod requests;
mod services;
mod twins;
mod world;
