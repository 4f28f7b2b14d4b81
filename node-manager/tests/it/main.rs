//! The node manager as a whole, over ports in memory and on paused time.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what must hold by demanding it"
)]

mod bundles;
mod crash;
mod disks;
mod drains;
mod http;
mod leases;
mod liveness;
mod placing;
mod world;
