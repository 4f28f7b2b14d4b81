//! The ports on real technology, a module each. Only the binary depends on it.

pub mod acme;
pub mod agent;
pub mod authority;
pub mod blobs;
pub mod docker;
pub mod edge;
pub mod embedded;
pub mod firewall;
pub mod images;
pub mod kafka;
mod leaders;
pub mod lifecycle;
pub mod machines;
pub mod probes;
pub mod routes;
pub mod share;
pub mod ssh;
pub mod webhooks;
pub mod zookeeper;

pub use acme::{AcmeAuthority, AcmeSettings};
pub use agent::AgentClient;
pub use authority::CertificateAuthorities;
pub use blobs::{AgentBlobs, FileBlobs};
pub use docker::DockerContainers;
pub use edge::{EdgeSettings, FilesEdge, FilesSettings, NginxEdge};
pub use embedded::{EmbeddedBus, EmbeddedStore};
pub use images::{ArchivedImages, DockerImages};
pub use kafka::{KafkaBus, KafkaSettings};
pub use lifecycle::LifecycleClient;
pub use machines::{AzureMachines, GivenMachine, GivenMachines, LocalMachines, LocalSettings};
pub use probes::HttpProbes;
pub use routes::RoutesClient;
pub use share::{AzureFiles, FolderShare, KnownShares, ObjectShare, ShareSettings};
pub use ssh::SshHosts;
pub use webhooks::WebhookClient;
pub use zookeeper::{ZkStore, ZooKeeperSettings};
