//! The ports on real technology, a module each. Only the binary depends on it.

pub mod agent;
pub mod blobs;
pub mod docker;
pub mod edge;
pub mod embedded;
pub mod firewall;
pub mod kafka;
pub mod machines;
pub mod probes;
pub mod routes;
pub mod ssh;
pub mod webhooks;
pub mod zookeeper;

pub use agent::AgentClient;
pub use blobs::FileBlobs;
pub use docker::DockerContainers;
pub use edge::{EdgeSettings, NginxEdge};
pub use embedded::{EmbeddedBus, EmbeddedStore};
pub use kafka::{KafkaBus, KafkaSettings};
pub use machines::{GivenMachine, GivenMachines, LocalMachines, LocalSettings};
pub use probes::HttpProbes;
pub use routes::RoutesClient;
pub use ssh::SshHosts;
pub use webhooks::WebhookClient;
pub use zookeeper::{ZkStore, ZooKeeperSettings};
