//! What the platform needs of this machine.

use std::env::home_dir;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::Context as _;
use chassis::config;

/// What is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The container engine's Unix socket.
    pub(crate) socket: PathBuf,
    /// The folder of bus and store.
    pub(crate) folder: PathBuf,
    /// Where the services listen.
    pub(crate) services: Vec<SocketAddr>,
    /// Where the edge listens.
    pub(crate) edge: Edge,
}

/// Where the edge listens.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) address: IpAddr,
    /// The port for host names.
    pub(crate) host_names: u16,
    /// The same over TLS, where it must be that one.
    pub(crate) tls: Option<u16>,
    pub(crate) front: RangeInclusive<u16>,
}

impl Edge {
    /// The ports that its image opens where it is not told otherwise.
    pub(crate) fn at(address: IpAddr) -> Self {
        Edge { address, host_names: 8088, tls: None, front: 2000..=2999 }
    }
}

/// Where a platform on one machine keeps everything, unless `--data` says otherwise.
pub(crate) fn default_folder() -> anyhow::Result<PathBuf> {
    let states = match config::xdg_folder("XDG_STATE_HOME") {
        Some(folder) => folder,
        None => {
            let home = home_dir().context("there is no home folder; name a folder with --data")?;
            home.join(".local/state")
        }
    };
    Ok(states.join("avishkar").join("up"))
}
