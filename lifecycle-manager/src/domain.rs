//! What the lifecycle manager decides, as pure functions: no clock, no store, no bus.

pub(crate) mod base;
pub(crate) mod brake;
pub(crate) mod leaving;
pub(crate) mod machine;
pub(crate) mod note;
pub(crate) mod papers;
pub(crate) mod registry;
pub(crate) mod restart;
pub(crate) mod rollout;
pub(crate) mod sighting;
pub(crate) mod target;
pub(crate) mod waits;

#[cfg(test)]
mod simulation;
