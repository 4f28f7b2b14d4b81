//! What the measurements of the edge share, and the end of everything that any measurement put up.

use std::net::SocketAddr;

use e2e::cluster::{self, NODES};
use e2e::docker::container_of;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;

use crate::command_line::avishkar;
use crate::routes;
use crate::servers::{self, Server, address_of};

/// The app that is deployed again and again.
pub(crate) const APP: &str = "bench";
/// The app that is given more load than it can take.
pub(crate) const BURNER: &str = "burner";
/// Names of routes begin like this.
pub(crate) const ROUTES: &str = "bench-";
/// The backend's ports on its node, outside of what the platform gives out: one for each route.
const FIRST_PORT: u16 = 30100;
const LAST_PORT: u16 = 30130;

/// Removals under way at once: each waits for what is under way at the edge.
const AT_ONCE: usize = 32;

/// A backend on a node, and a route to it.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Holds the servers' configuration files.
    pub(crate) folder: TempDir,
    pub(crate) backend: SocketAddr,
    /// Where the edge serves it.
    pub(crate) front: SocketAddr,
}

impl Stage {
    pub(crate) async fn set_up() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let node = NODES[0];
        let ip = address_of(node).await?;
        let backend = SocketAddr::new(ip, FIRST_PORT);
        // On the node's own network: routes lead to nodes only.
        let network = format!("container:{}", container_of(node).await?);
        let conf = include_str!("../conf/backend.conf")
            .replace("@BACKEND@", &format!("{ip}:{FIRST_PORT}-{LAST_PORT}"));
        let server = Server { name: "backend", network: &network, conf: &conf, listen: backend };
        server.start(folder.path()).await?;
        let front = routes::register(&format!("{ROUTES}route"), backend).await?;
        Ok(Stage { folder, backend, front })
    }

    /// Another replica of the same backend.
    pub(crate) fn other(&self, number: u16) -> SocketAddr {
        SocketAddr::new(self.backend.ip(), FIRST_PORT + 1 + number % (LAST_PORT - FIRST_PORT))
    }
}

/// Takes down what this program put up, now or in a run that was killed. Everything is tried, the first failure is told.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let outcomes = [stop_apps().await, remove_routes().await, servers::remove_all().await];
    outcomes.into_iter().collect()
}

async fn stop_apps() -> anyhow::Result<()> {
    let apps = avishkar(&["apps"]).await?;
    for ours in [APP, BURNER] {
        let mut apps = apps.as_array().into_iter().flatten();
        if apps.any(|app| app["name"] == ours && app["state"] != "stopped") {
            avishkar(&["stop", ours]).await?;
        }
    }
    for node in NODES {
        let filter = format!("name=^/?{}", servers::PREFIX);
        let left = cluster::exec(node, &["docker", "ps", "-a", "-q", "--filter", &filter]).await?;
        for id in left.split_whitespace() {
            cluster::exec(node, &["docker", "rm", "-f", id]).await?;
        }
    }
    Ok(())
}

async fn remove_routes() -> anyhow::Result<()> {
    let gone = stream::iter(routes::named(ROUTES).await?)
        .map(|name| async move { routes::deregister(&name).await });
    gone.buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await
}
