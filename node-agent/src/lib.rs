//! The node agent: one per machine, the only holder of its container engine.
//!
//! It does what it is told over mutual TLS, remembers it on disk, keeps it running without anyone's
//! help, and measures. It never decides what should run, and follows nothing in Kafka or `ZooKeeper`: it only asks those of its
//! own machine whether they take part.
//!
//! Reading order: [`service`] is the whole; `agent` does what callers ask, by the rules of `domain`,
//! and writes it to the `ledger` first; `keeper` makes the ledger so, for ever; `look` and `meter`
//! say how the containers are. `parts` does the same for what the platform itself consists of, and `relay` brings its
//! registry to every machine. `disk` says what the platform has on the disk, and removes what nobody refers to;
//! `cleaning` does so on its own. `http` and `local` are its two doors: for other processes, and for this one.

pub mod config;
pub mod ports;
pub mod service;

mod agent;
mod bundles;
mod cleaning;
mod disk;
mod domain;
mod health;
mod http;
mod keeper;
mod ledger;
mod local;
mod locks;
mod look;
mod meter;
mod metrics;
mod parts;
mod relay;
mod replicas;
mod wall;

pub use config::{Config, Raw};
pub use domain::listeners::parse as listening_sockets;
pub use http::ENDPOINTS;
pub use look::takes_part;
pub use meter::Sampler;
pub use ports::Ports;
pub use service::NodeAgent;
