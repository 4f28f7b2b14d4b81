//! The lifecycle manager as a whole, over ports in memory and on paused time.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by demanding it")]

mod base;
mod brake;
mod code;
mod configured;
mod crash;
mod enrolment;
mod filling;
mod http;
mod machine_restarts;
mod machines;
mod models;
mod papers;
mod registry;
mod requests;
mod service_restarts;
mod services;
mod twins;
mod upkeep;
mod wishes;
mod world;
