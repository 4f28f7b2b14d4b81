//! The vocabulary of the platform: names, ids, messages, records, ports, failure codes.
//!
//! Owns what more than one crate must agree on. Never does input or output, never reads a clock,
//! never draws a random number, knows no technology.

pub mod agent;
pub mod digest;
pub mod failure;
pub mod id;
pub mod message;
pub mod name;
pub mod nesting;
pub mod port;
pub mod problem;
pub mod record;
pub mod rendezvous;
pub mod service;
pub mod topic;
pub mod week;
