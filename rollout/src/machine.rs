//! A machine on its way to a node: what is true of it, what is left to do, and one step after another.
//!
//! A step may be repeated, and a crash anywhere between two of them costs nothing but a second look.

mod agent;
mod apply;
mod ensure;
mod goal;
mod look;
mod observe;
mod plan;
mod ports;
mod removal;
mod step;
mod within;

pub use agent::{AGENT, REGISTRY};
pub use apply::apply;
pub use ensure::{Journal, NoJournal, ensure, remove};
pub use goal::Goal;
pub use observe::{
    AgentSeen, Certificate, Engine, Entry, Existence, Inside, Observed, PortSeen, observe,
};
pub use plan::{MOST_CLOCK_OFFSET, NEEDED_DISK, OLDEST_ENGINE, plan};
pub use ports::{Ports, Trust};
pub use removal::removal;
pub use step::{Action, Step};
