//! How a machine becomes a node, and how one part of the platform gets onto a node and off again: plans and
//! steps over ports.
//!
//! Owns what the bootstrapper and the lifecycle manager do in the same way. Decides nothing about when.

pub mod failure;
pub mod machine;
pub mod order;
pub mod parts;
pub mod platform;
pub mod seed;

pub use failure::{Code, Failure};
