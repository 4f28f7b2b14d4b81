//! Shared ports: what the services need from the world, as intent that may be repeated.
//!
//! Each has a fake in `testkit` and one contract suite that the fake and every real adapter pass.

pub mod authority;
pub mod blobs;
pub mod bus;
pub mod certificates;
pub mod clock;
pub mod container;
pub mod containers;
pub mod disk;
pub mod drains;
pub mod edge;
pub mod entropy;
pub mod host;
pub mod images;
pub mod keeper;
pub mod machines;
pub mod nodes;
pub mod part;
pub mod part_containers;
pub mod parts;
pub mod probes;
pub mod public_authority;
pub mod routes;
pub mod share;
pub mod store;
pub mod upkeep;
pub mod webhooks;

pub use authority::{Authorities, Authority};
pub use blobs::Blobs;
pub use bus::Bus;
pub use certificates::Certificates;
pub use clock::Clock;
pub use containers::Containers;
pub use drains::Drains;
pub use edge::{Edge, EdgeCertificates, OtherEdge};
pub use entropy::Entropy;
pub use host::{Host, Hosts};
pub use images::Images;
pub use machines::Machines;
pub use nodes::Nodes;
pub use part_containers::PartContainers;
pub use parts::Parts;
pub use probes::Probes;
pub use public_authority::PublicAuthority;
pub use routes::Routes;
pub use share::{Share, Shares};
pub use store::Store;
pub use upkeep::Upkeep;
pub use webhooks::Webhooks;

/// What a technology said when it failed; kept as the source of a port's error.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;
