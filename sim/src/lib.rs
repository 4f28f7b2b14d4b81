//! The deterministic simulation: all services' real code, on a simulated bus, store, nodes, edge and
//! clock, in one thread and in paused time. One seed is one story.
//!
//! For tests only. Reading order: [`run()`] tells a story from its seed; `services` composes the real
//! services on the ports of `port`, each behind a `gate` where delays, faults and crashes happen; the
//! [`checker`] reads what is really there; [`plant`] holds the bugs that prove that it would see them.

mod blast;
mod call;
mod chaos;
pub mod checker;
mod coverage;
mod dice;
mod drain;
pub mod fault;
mod fleet;
mod gate;
mod ills;
pub mod laws;
mod life;
mod load;
pub mod many;
pub mod matrix;
pub mod plant;
mod port;
pub mod proof;
pub mod run;
mod script;
mod services;
mod settings;
mod stage;
pub mod step;
mod storm;
pub mod takeover;
mod trace;
mod user;
mod visitors;
mod world;

pub use blast::blast_radius;
pub use call::{CallKind, Fault};
pub use coverage::Coverage;
pub use fleet::{Errand, Trial};
pub use laws::{Lawful, end_at_every_step, fail_every_step, repeat_every_step};
pub use run::{Kind, Plan, Report, Scenario, run};
pub use script::Operation;
