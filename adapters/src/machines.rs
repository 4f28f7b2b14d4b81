//! Backends of [`Machines`](common::port::Machines): [`LocalMachines`] makes them in containers on this computer,
//! [`AzureMachines`] in Azure, [`GivenMachines`] has those that somebody else made.

pub mod azure;
mod given;
mod local;

pub use azure::AzureMachines;
pub use given::{GivenMachine, GivenMachines};
pub use local::{LocalMachines, LocalSettings, NotARange, Range, resolvers_of_this_computer};
