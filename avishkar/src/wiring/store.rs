//! The store: `ZooKeeper`.

use std::sync::Arc;
use std::time::Duration;

use adapters::zookeeper::{ZkStore, ZooKeeperSettings};
use anyhow::Context as _;
use chassis::config::Problem;
use common::port::Store;
use serde::{Deserialize, Serialize};

/// `[zookeeper]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    /// `host:port` of each server, separated by commas.
    servers: String,
    /// The record that stands for `/`; empty for the whole tree.
    chroot: String,
    /// After this long without a sign of life the server ends the session.
    session_timeout_ms: u64,
}

impl Raw {
    pub(crate) fn resolve(self) -> Result<ZooKeeperSettings, Vec<Problem>> {
        let mut problems = Vec::new();
        if !self.servers.split(',').all(|server| server.contains(':')) {
            problems
                .push(Problem::new("zookeeper.servers", "must be host:port, separated by commas"));
        }
        if !(1_000..=60_000).contains(&self.session_timeout_ms) {
            problems
                .push(Problem::new("zookeeper.session_timeout_ms", "must be from 1000 to 60000"));
        }
        let chroot = match self.chroot.as_str() {
            "" => None,
            text => match text.parse() {
                Ok(path) => Some(path),
                Err(_) => {
                    problems.push(Problem::new("zookeeper.chroot", "must be a path such as /one"));
                    None
                }
            },
        };
        if problems.is_empty() {
            let session_timeout = Duration::from_millis(self.session_timeout_ms);
            Ok(ZooKeeperSettings { servers: self.servers, chroot, session_timeout })
        } else {
            Err(problems)
        }
    }
}

pub(crate) fn connect(settings: &ZooKeeperSettings) -> anyhow::Result<Arc<dyn Store>> {
    Ok(Arc::new(ZkStore::connect(settings).context("ZooKeeper cannot be used")?))
}
