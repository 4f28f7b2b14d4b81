//! Backends of [`Machines`](common::port::Machines): [`LocalMachines`] makes them in containers on this computer,
//! [`GivenMachines`] has those that somebody else made.

mod given;
mod local;

pub use given::{GivenMachine, GivenMachines};
pub use local::{LocalMachines, LocalSettings, NotARange, Range, resolvers_of_this_computer};
