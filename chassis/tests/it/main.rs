//! The chassis as a service sees it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should say where")]

mod consumer;
mod http;
mod leader;
mod leading;
mod operations;
mod process;
mod readiness;
mod reconcile;
