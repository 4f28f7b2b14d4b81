//! What the node manager decides, as pure functions: no clock, no store, no bus.

pub(crate) mod collection;
pub(crate) mod lease;
pub(crate) mod liveness;
pub(crate) mod load;
pub(crate) mod placement;
pub(crate) mod room;
