//! [`EmbeddedBus`] and [`EmbeddedStore`]: the bus and the store for one process on one machine, on
//! redb.
//!
//! Owns a [`Folder`], which no other process uses meanwhile, with a database file for each of the
//! two. One thread a file writes: whatever was asked for while the disk was busy is done in one
//! transaction, and nobody is answered before that one is synced. Never spreads over processes or
//! machines: that is for Kafka and `ZooKeeper`.

mod failure;
mod folder;
mod look;
mod medium;

mod database;
mod queue;
mod writer;

mod bus;
mod store;

pub use self::bus::{EmbeddedBus, Retention};
pub use self::failure::Error;
pub use self::folder::Folder;
pub use self::look::{Look, look};
pub use self::medium::Medium;
pub use self::store::EmbeddedStore;
