//! What the app manager decides, without a clock, a store or a network.

pub(crate) mod access;
pub(crate) mod edge;
pub(crate) mod hints;
pub(crate) mod hours;
pub(crate) mod rollback;
pub(crate) mod scaling;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod settlement;
