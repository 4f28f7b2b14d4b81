//! The load balancer in process, over fakes, with paused time.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
#![expect(clippy::panic, reason = "a test may panic")]

mod announce;
mod balance;
mod certificates;
mod crash;
mod default_bounds;
mod document_001;
mod drain;
mod illness;
mod options;
mod orders;
mod pair;
mod property;
mod reopened;
mod rest;
mod routes;
mod scale;
mod traffic;
mod unfit;
mod world;
