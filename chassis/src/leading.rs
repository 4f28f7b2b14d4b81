//! A service of which one instance leads: the frame around its leader's work, and the writes that only a leader makes.
//!
//! Owns the way from standing by to work and out of it again, in the same order for every service; never what the
//! work is. Reading order: a service says what it does as a [`Leader`]; [`run_until_lost`] has it do so from its
//! [`Seat`], under which all parts of the service write.

mod held;
mod run;
mod seat;

pub use held::{HeldNodes, Refused};
pub use run::{Leader, run_until_lost, run_whenever_won};
pub use seat::{Error, Seat};
