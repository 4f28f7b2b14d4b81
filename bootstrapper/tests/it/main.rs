//! The bootstrapper on fakes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails here"
)]

mod agents;
mod applying;
mod broken_files;
mod cut_off;
mod destroying;
mod files;
mod leases;
mod planning;
mod power;
mod together;
mod world;

/// A machine's programs, as rollout's own tests have them.
#[path = "../../../rollout/tests/it/engine.rs"]
#[expect(dead_code, reason = "some of it is for rollout's tests only")]
mod engine;
