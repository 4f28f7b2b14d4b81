//! Fakes of every shared port, the contract suites they and the real adapters pass, builders, a manual clock.
//!
//! For tests only. A fake is a real small implementation with the faults of the real thing.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken expectation of a test should say where"
)]

pub mod azure;
pub mod azure_files;
pub mod blobs;
pub mod bus;
pub mod certificates;
pub mod chaos_proxy;
pub mod clock;
pub mod containers;
pub mod contract;
pub mod drains;
pub mod edge;
pub mod entropy;
pub mod hosts;
pub mod machines;
pub mod nodes;
pub mod part_containers;
pub mod parts;
pub mod pki;
pub mod probes;
pub mod public_authority;
pub mod raw_zip;
pub mod routes;
pub mod shares;
pub mod store;
pub mod upkeep;
pub mod webhooks;

pub use azure::MemoryAzure;
pub use azure_files::AzureFilesStandIn;
pub use blobs::MemoryBlobs;
pub use bus::MemoryBus;
pub use certificates::MemoryCertificates;
pub use clock::ManualClock;
pub use containers::{MemoryContainers, MemoryRegistry};
pub use drains::MemoryDrains;
pub use edge::MemoryEdge;
pub use entropy::SeededEntropy;
pub use hosts::MemoryHosts;
pub use machines::MemoryMachines;
pub use nodes::MemoryNodes;
pub use part_containers::MemoryPartContainers;
pub use parts::MemoryParts;
pub use probes::MemoryProbes;
pub use public_authority::MemoryAuthority;
pub use routes::MemoryRoutes;
pub use shares::{MemoryShare, MemoryShares};
pub use store::MemoryStore;
pub use upkeep::MemoryUpkeep;
pub use webhooks::MemoryWebhooks;
