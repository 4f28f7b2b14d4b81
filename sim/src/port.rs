//! The ports as a simulated service gets them: the fakes of `testkit`, behind delays and faults.

mod blobs;
mod bus;
mod edge;
mod machines;
pub(crate) mod mischief;
mod nodes;
mod parts;
mod probes;
mod routes;
mod store;

pub(crate) use self::blobs::SimBlobs;
pub(crate) use self::bus::SimBus;
pub(crate) use self::edge::SimEdge;
pub(crate) use self::machines::{SimEnrolment, SimMachines};
pub(crate) use self::nodes::SimNodes;
pub(crate) use self::parts::SimParts;
pub(crate) use self::probes::{SimProbes, SimWebhooks};
pub(crate) use self::routes::SimRoutes;
pub(crate) use self::store::SimStore;
