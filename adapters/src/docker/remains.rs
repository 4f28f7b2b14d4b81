//! Everything of the platform that an engine holds, to be removed as a whole. What does not carry the
//! platform's label is not touched; images stay.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use common::port::container::label;
use common::port::containers::Error;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::body::{APP, NETWORK};
use super::edge::{EDGE, TABLE_FOLDER};
use super::failure::{attempt, classify, is_missing, within};
use super::{QUICK, START};
use crate::firewall::FIREWALL;

/// How many containers are stopped at once.
const AT_ONCE: usize = 8;
/// How long each may take to end after it was asked to.
const STOP_SECONDS: i32 = 10;

/// What the platform left on this machine's engine.
#[derive(Debug)]
pub struct Remains {
    docker: Docker,
}

impl Remains {
    /// Fails while there is no socket.
    pub fn new(socket: &Path) -> Result<Self, Error> {
        let socket = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, START.as_secs(), API_DEFAULT_VERSION);
        Ok(Remains { docker: docker.map_err(classify)? })
    }

    /// Removes apps first, then the edge, then networks; may be repeated. Returns how many containers
    /// of apps there were.
    pub async fn remove(&self) -> Result<usize, Error> {
        let apps = self.remove_containers(APP).await?;
        self.remove_containers(EDGE).await?;
        self.remove_containers(FIREWALL).await?;
        let options = ListNetworksOptionsBuilder::new().filters(&of_kind(NETWORK)).build();
        for network in within(QUICK, self.docker.list_networks(Some(options))).await? {
            let id = network.id.unwrap_or_default();
            gone(attempt(START, self.docker.remove_network(&id)).await?)?;
        }
        Ok(apps)
    }

    /// The folder of the platform that has an edge on this engine, running or not; none where it is not known.
    pub async fn home(&self) -> Result<Option<PathBuf>, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&of_kind(EDGE)).build();
        let found = within(QUICK, self.docker.list_containers(Some(options))).await?;
        let mounts = found.into_iter().filter_map(|container| container.mounts).flatten();
        let table = mounts
            .filter(|mount| mount.destination.as_deref() == Some(TABLE_FOLDER))
            .find_map(|mount| mount.source);
        Ok(table.and_then(|table| table.strip_suffix("/edge/table").map(PathBuf::from)))
    }

    async fn remove_containers(&self, kind: &str) -> Result<usize, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&of_kind(kind)).build();
        let found = within(QUICK, self.docker.list_containers(Some(options))).await?;
        let count = found.len();
        let removals = found.into_iter().filter_map(|container| container.id);
        let removals = stream::iter(removals).map(|id| async move { self.remove_one(&id).await });
        removals.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        Ok(count)
    }

    async fn remove_one(&self, id: &str) -> Result<(), Error> {
        let stop = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
        // Whatever does not stop is removed by force.
        drop(attempt(START, self.docker.stop_container(id, Some(stop))).await?);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        gone(attempt(START, self.docker.remove_container(id, Some(options))).await?)
    }
}

fn of_kind(kind: &str) -> HashMap<&'static str, Vec<String>> {
    HashMap::from([("label", vec![format!("{}={kind}", label::PLATFORM)])])
}

fn gone(removed: Result<(), bollard::errors::Error>) -> Result<(), Error> {
    match removed {
        Ok(()) => Ok(()),
        Err(err) if is_missing(&err) => Ok(()),
        Err(err) => Err(classify(err)),
    }
}
