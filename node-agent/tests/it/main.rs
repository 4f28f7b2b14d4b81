//! The agent as a service: over its mutual-TLS listener, on a simulated container engine.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by unwrapping it")]

mod blobs;
mod callers;
mod consent;
mod orders;
mod parts;
mod versions;
mod world;
