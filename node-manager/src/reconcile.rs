//! What makes it so: answers to requests, verdicts on nodes, the end of leases.

pub(crate) mod leases;
pub(crate) mod observe;
pub(crate) mod placements;
pub(crate) mod verdicts;

pub(crate) use leases::Leases;
pub(crate) use placements::Placements;
pub(crate) use verdicts::Verdicts;
