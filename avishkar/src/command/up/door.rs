//! The edge of a platform in one process: its folders, and the container that NGINX runs in.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::time::Duration;

use adapters::docker::{EdgeContainer, EdgeContainerSettings, EdgePorts};
use anyhow::Context as _;
use common::port::containers;

use super::settings::{RawEdge, Settings};
use crate::failure::Failure;

/// The user that the edge's image makes for itself. Where the platform is root, the edge is not.
const EDGE_USER: u32 = 10001;
/// The engine brings a container back that ended; this brings back one that the engine itself took along.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Makes the folders that platform and edge share, for both of them and nobody else.
pub(super) fn prepare(settings: &Settings, home: &Path) -> anyhow::Result<EdgeContainer> {
    let (table_folder, run_folder) = settings.load_balancer.meant.edge_folders();
    let mut owner = (0, 0);
    for folder in [&table_folder, &run_folder] {
        owner = share(folder).with_context(|| format!("{} cannot be used", folder.display()))?;
    }
    let socket = settings.node_agent.meant.socket.clone();
    let RawEdge { image, bind, host_port, tls_port, tls_announced, requests_per_address } =
        settings.edge.clone();
    let ports = EdgePorts { host_port, tls_port, tls_announced };
    let home = home.to_owned();
    let wanted = EdgeContainerSettings {
        socket,
        image,
        home,
        bind,
        ports,
        requests_per_address,
        table_folder,
        run_folder,
        owner,
    };
    Ok(EdgeContainer::new(wanted).map_err(|err| refused(err, &settings.edge.image))?)
}

/// As whom the edge runs in a folder: as its owner, but never as root.
fn share(folder: &Path) -> std::io::Result<(u32, u32)> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o750))?;
    let found = fs::metadata(folder)?;
    if found.uid() == 0 {
        chown(folder, Some(EDGE_USER), Some(EDGE_USER))?;
        return Ok((EDGE_USER, EDGE_USER));
    }
    Ok((found.uid(), found.gid()))
}

/// Makes the edge run; what keeps it from that is told to whoever starts the platform.
pub(super) async fn open(edge: &EdgeContainer) -> Result<(), Failure> {
    let made = edge.ensure().await.map_err(|err| refused(err, edge.image()))?;
    if made {
        tracing::info!("the edge is started");
    }
    Ok(())
}

/// Brings it back whenever it is gone. Never ends.
pub(super) async fn keep(edge: &EdgeContainer) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match bring_back(edge).await {
            Ok(false) => {}
            Ok(true) => tracing::warn!("the edge did not run and is started again"),
            Err(err) => tracing::warn!(
                error = &err as &dyn std::error::Error,
                "the edge cannot be looked after; trying again"
            ),
        }
    }
}

async fn bring_back(edge: &EdgeContainer) -> Result<bool, containers::Error> {
    if edge.is_running().await? { Ok(false) } else { edge.ensure().await }
}

fn refused(err: containers::Error, image: &str) -> Failure {
    if matches!(err, containers::Error::ImageUnavailable { .. }) {
        return Failure::EdgeImage { image: image.to_owned() };
    }
    Failure::Engine(err)
}
