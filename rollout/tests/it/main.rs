//! Machines that become nodes, and platforms that come up, in memory: with every step cut off before and after it.
#![expect(clippy::unwrap_used, reason = "a test says what must hold by relying on it")]

mod configured;
mod cut;
mod edges;
mod ensembles;
mod faults;
mod machine;
mod openings;
mod order;
mod parts;
mod remains;
mod removal;
mod seed;
mod shares;
mod world;
