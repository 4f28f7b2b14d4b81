//! The bootstrapper on fakes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails here"
)]

mod acme;
mod agents;
mod applying;
mod authority;
mod broken_files;
mod changed;
mod configured;
mod credentials;
mod cut_off;
mod destroying;
mod edges;
mod files;
mod gates;
mod given;
mod keeper;
mod leases;
mod mishaps;
mod planning;
mod power;
mod together;
mod upgraded;
mod world;
