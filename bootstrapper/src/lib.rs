//! From an operator's machine, once: first machines, base services, lifecycle managers; then it ends.
//!
//! Owns the description of a platform in a file, and the state file beside it. Keeps nothing running: what it has
//! made, the lifecycle managers keep.

pub mod description;
pub mod file;
pub mod ports;
pub mod report;
pub mod state;

mod apply;
mod base;
mod changes;
mod described;
mod destroy;
mod first;
mod keys;
mod lease;
mod machines;
mod managers;
mod plan;
mod recovery;
mod shares;
mod trouble;
mod upgrade;
mod ways;
mod work;

pub use apply::{Manner, apply};
pub use destroy::destroy;
pub use keys::HostKeys;
pub use lease::{Error as LeaseError, Holder, Lease};
pub use plan::{MachinePlan, Plan, plan};
pub use ports::Ports;
pub use recovery::Novelty;
pub use trouble::Trouble;
