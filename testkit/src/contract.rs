//! Contract suites: what every adapter of a port keeps, and its fake as well.

mod clause;

pub mod blobs;
pub mod bus;
pub mod containers;
pub mod drains;
pub mod edge;
pub mod edge_certificates;
pub mod hosts;
pub mod machines;
pub mod nodes;
pub mod part_containers;
pub mod parts;
pub mod probes;
pub mod public_authority;
pub mod shares;
pub mod store;
pub mod upkeep;

pub use clause::{Broken, Clause};
