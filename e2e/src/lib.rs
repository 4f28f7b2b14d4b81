//! The composed platform on real parts: what its tests need to drive it, to hurt it, and to see what is true.
//!
//! Owns the outside view only: HTTP as a user, Kafka as any client, Docker and `ZooKeeper` as an independent
//! reader. Never links a service.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

pub mod audit;
pub mod bus;
pub mod bystander;
pub mod cluster;
pub mod corpus;
pub mod dead_letters;
pub mod docker;
pub mod fleet;
pub mod foreign;
pub mod history;
pub mod load;
pub mod platform;
pub mod raw_http;
pub mod refusal;
pub mod scripted;
pub mod single;
pub mod sources;
pub mod truth;
pub mod twin;
pub mod voice;
pub mod wait;
