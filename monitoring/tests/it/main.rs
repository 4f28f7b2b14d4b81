//! Monitoring as a whole, over ports in memory and on paused time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what must hold by demanding it"
)]

mod brake;
mod crash;
mod http;
mod slow;
mod targets;
mod twins;
mod webhooks;
mod world;
