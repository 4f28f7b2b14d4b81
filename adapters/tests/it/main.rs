//! The contract suites on real servers, and what only real servers can show.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by unwrapping it")]

mod agent;
mod agent_blobs;
mod azure;
mod blobs;
mod bus;
mod code;
mod containers;
mod drains;
mod edge;
mod edge_files;
mod edge_pair;
mod embedded;
mod engine;
mod enrolment;
mod gates;
mod lifecycle;
mod local;
mod machine;
mod machines;
mod members;
mod nodes;
mod part_containers;
mod parts;
mod probes;
mod served_models;
mod shares;
mod ssh;
mod store;
mod survey;
mod webhooks;
