//! What the measurements of the edge share, and the end of everything that any measurement put up.

use std::net::SocketAddr;
use std::ops::Range;

use e2e::cluster::{self, NODES};
use e2e::docker::container_of;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;

use crate::command_line::avishkar;
use crate::report::progress;
use crate::routes;
use crate::servers::{self, Program, Server, address_of};

/// The app that is deployed again and again.
pub(crate) const APP: &str = "bench";
/// The app that is given more load than it can take.
pub(crate) const BURNER: &str = "burner";
/// Names of routes begin like this.
pub(crate) const ROUTES: &str = "bench-";
/// Of those that nobody asks.
const BESIDES: &str = "bench-beside-";
/// The backend's ports on its node, outside of what the platform and the system give out. A replica belongs to one route:
/// the first ports are those that one route changes between, and each route beside it has one of the others.
const FIRST_PORT: u16 = 31000;
const OTHERS: u16 = 30;
const FIRST_BESIDE: u16 = FIRST_PORT + 1 + OTHERS;
/// Routes beside: as many as the edge has front ports.
const BESIDE: u16 = 1000;
const LAST_PORT: u16 = FIRST_BESIDE + BESIDE - 1;

/// Registrations under way at once: they share tables.
const REGISTERED_AT_ONCE: usize = 32;
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
        let server = Server {
            program: Program::Nginx,
            name: "backend",
            network: &network,
            conf: &conf,
            listen: backend,
        };
        server.start(folder.path()).await?;
        let front = routes::register(&format!("{ROUTES}route"), backend).await?;
        Ok(Stage { folder, backend, front })
    }

    /// Another replica of the same backend: of any route, but of one at a time.
    pub(crate) fn other(&self, number: u16) -> SocketAddr {
        SocketAddr::new(self.backend.ip(), FIRST_PORT + 1 + number % OTHERS)
    }

    /// The replica of a route that only is there.
    pub(crate) fn beside(&self, number: u16) -> SocketAddr {
        SocketAddr::new(self.backend.ip(), FIRST_BESIDE + number % BESIDE)
    }

    /// Registers apps of these numbers, which nobody asks.
    pub(crate) async fn crowd(&self, numbers: Range<u16>) -> anyhow::Result<()> {
        progress(&format!("registering {} more apps", numbers.len()));
        let registered = stream::iter(numbers).map(|number| async move {
            routes::register(&format!("{BESIDES}{number}"), self.beside(number)).await
        });
        registered.buffer_unordered(REGISTERED_AT_ONCE).try_for_each(|_| async { Ok(()) }).await
    }

    /// Takes them away again.
    pub(crate) async fn disperse(&self) -> anyhow::Result<()> {
        progress("taking the apps away that nobody asks");
        remove_routes(BESIDES).await
    }
}

/// Takes down what this program put up, now or in a run that was killed. Everything is tried, the first failure is told.
pub(crate) async fn clear() -> anyhow::Result<()> {
    let outcomes = [stop_apps().await, remove_routes(ROUTES).await, servers::remove_all().await];
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

async fn remove_routes(prefix: &str) -> anyhow::Result<()> {
    let gone = stream::iter(routes::named(prefix).await?)
        .map(|name| async move { routes::deregister(&name).await });
    gone.buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await
}
