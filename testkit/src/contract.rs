//! Contract suites: what every adapter of a port keeps, and its fake as well.

mod clause;

pub mod blobs;
pub mod bus;
pub mod containers;
pub mod edge;
pub mod hosts;
pub mod machines;
pub mod nodes;
pub mod probes;
pub mod store;

pub use clause::{Broken, Clause};
