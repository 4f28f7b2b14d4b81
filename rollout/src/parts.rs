//! What each part of the platform is on a node: its specification, made from the description alone.

mod address;
mod base;
mod configured;
mod edge;
mod images_file;
mod kafka;
mod openings;
mod papers;
mod registry;
mod service;
mod site;
mod zookeeper;

pub use address::address;
pub use base::{BasePart, base_parts};
pub use configured::{Configured, ConfiguredService, Receiver, Setting, Settings};
pub use edge::edge;
pub use kafka::kafka;
pub use openings::{APP_PORTS, FRONT_PORTS, kept_inside, openings};
pub use papers::{Credentials, FormerBase, Secrets, ServicePapers, names};
pub use registry::registry;
pub use service::{
    AUTHORITY, AZURE_PRINCIPAL, CONFIGURED, CREDENTIALS_FILE, GIVEN, JWT, Listeners, PLATFORM,
    SHARES, SSH_KEY, listeners, service,
};
pub use site::{
    Incomplete, KAFKA as KAFKA_PORT, OWNER, REGISTRY as REGISTRY_PORT, Site,
    ZOOKEEPER as ZOOKEEPER_PORT,
};
pub use zookeeper::zookeeper;
