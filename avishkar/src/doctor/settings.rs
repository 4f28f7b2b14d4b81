//! What the platform needs of this machine.

use std::env::home_dir;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chassis::config::{self, Sources};
use serde::Deserialize;

/// The label of containers of the platform, by which its edge is known.
const EDGE: &str = "edge";

/// What is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The container engine's Unix socket.
    pub(crate) socket: PathBuf,
    /// The folder of bus and store.
    pub(crate) folder: PathBuf,
    /// Where services and edge listen.
    pub(crate) address: IpAddr,
    /// The ports of the services.
    pub(crate) services: Vec<u16>,
    /// The edge's port for host names.
    pub(crate) host_names: u16,
    pub(crate) front: RangeInclusive<u16>,
    /// The value of [`common::port::container::label::PLATFORM`] on the edge's container.
    pub(crate) edge: &'static str,
}

/// The one section that is read of `config/node-agent.toml`.
#[derive(Debug, Deserialize)]
struct File {
    docker: Docker,
}

#[derive(Debug, Deserialize)]
struct Docker {
    socket: PathBuf,
}

impl Settings {
    /// The platform's own, with the engine that the node agent's configuration names, and `folder`
    /// instead of the user's own.
    pub(crate) fn of_process(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let sources = Sources::from_process(None, Vec::new());
        let defaults = include_str!("../../../config/node-agent.toml");
        let file: File = config::read(defaults, &sources)?;
        let folder = folder.map_or_else(default_folder, Ok)?;
        Ok(Settings::new(file.docker.socket, &folder))
    }

    pub(crate) fn new(socket: PathBuf, folder: &Path) -> Self {
        Settings {
            socket,
            folder: folder.to_owned(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            services: vec![8010, 8030, 8040, 8050],
            host_names: 8088,
            front: 2000..=2999,
            edge: EDGE,
        }
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
