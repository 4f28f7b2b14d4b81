//! The ports on real technology, a module each. Only the binary depends on it.

pub mod agent;
pub mod blobs;
pub mod docker;
pub mod edge;
pub mod embedded;
pub mod firewall;
pub mod kafka;
pub mod routes;
pub mod zookeeper;

pub use agent::AgentClient;
pub use blobs::FileBlobs;
pub use docker::DockerContainers;
pub use edge::{EdgeSettings, NginxEdge};
pub use embedded::{EmbeddedBus, EmbeddedStore};
pub use kafka::{KafkaBus, KafkaSettings};
pub use routes::RoutesClient;
pub use zookeeper::{ZkStore, ZooKeeperSettings};
