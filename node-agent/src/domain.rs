//! What the agent decides: pure, from what it was told and what it sees.

pub(crate) mod collection;
pub(crate) mod consent;
pub(crate) mod keep;
pub(crate) mod listeners;
pub(crate) mod looks;
pub(crate) mod part_specification;
pub(crate) mod restart;
pub(crate) mod silence;
pub(crate) mod specification;
pub(crate) mod usage;
