//! A machine on its way to a node: what is true of it, what is left to do, and one step after another.
//!
//! A step may be repeated, and a crash anywhere between two of them costs nothing but a second look.

mod agent;
mod apply;
mod credentials;
mod ensure;
mod goal;
mod look;
mod observe;
mod plan;
mod ports;
mod remains;
mod removal;
mod shares;
mod step;
mod within;

pub use agent::{AGENT, REGISTRY};
pub use apply::{LONGEST_COPY, apply, bring_image};
pub use credentials::{credentials, give_credentials};
pub use ensure::{Journal, NoJournal, ensure, remove};
pub use goal::{Goal, agent_names};
pub use observe::{
    AgentSeen, Certificate, Engine, Entry, Existence, Inside, Observed, locate, observe,
};
pub use plan::{MOST_CLOCK_OFFSET, NEEDED_DISK, OLDEST_ENGINE, plan};
pub use ports::{Ports, Trust};
pub use remains::{Remains, ToldService, remains, told_services};
pub use removal::removal;
pub use shares::renew_shares;
pub use step::{Action, Step};
