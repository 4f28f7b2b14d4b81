//! Decisions: which services there are and in which order, where each runs, what a request changes, of the platform or of
//! one service, what is to be done next. Pure: no clock, no store, no bus.

pub(crate) mod change;
pub(crate) mod order;
pub(crate) mod placement;
pub(crate) mod plan;
pub(crate) mod switch;
