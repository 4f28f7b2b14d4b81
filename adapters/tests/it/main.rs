//! The contract suites on real servers, and what only real servers can show.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by unwrapping it")]

mod agent;
mod blobs;
mod bus;
mod containers;
mod edge;
mod embedded;
mod engine;
mod machine;
mod nodes;
mod store;
mod survey;
