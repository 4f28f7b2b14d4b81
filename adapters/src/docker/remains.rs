//! Everything of one platform that an engine holds, to be removed as a whole. What does not carry its
//! labels is not touched, as the containers of a node's own agent do not; images stay.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::models::ContainerSummary;
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

/// Whose an engine's containers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// There are none of any platform.
    Nobody,
    /// Those of the platform that keeps everything in this folder.
    Folder(PathBuf),
    /// Those that a node's own agent makes: some cluster's.
    Agent,
}

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

    /// Removes apps of the platform of a folder first, then networks, then its edge; may be repeated. `homes` are the
    /// names of the folder. Returns how many containers of apps there were.
    pub async fn remove(&self, homes: &[PathBuf]) -> Result<usize, Error> {
        let edges = self.edges_home().await?;
        let whose = Whose { homes, unsigned: edges.is_some_and(|home| homes.contains(&home)) };
        let apps = self.remove_containers(APP, whose).await?;
        self.remove_containers(FIREWALL, whose).await?;
        let options = ListNetworksOptionsBuilder::new().filters(&of_kind(NETWORK)).build();
        for network in within(QUICK, self.docker.list_networks(Some(options))).await? {
            if whose.includes(network.labels.as_ref()) {
                let id = network.id.unwrap_or_default();
                gone(attempt(START, self.docker.remove_network(&id)).await?)?;
            }
        }
        // By it the rest is known to be ours: so it goes last.
        self.remove_containers(EDGE, whose).await?;
        Ok(apps)
    }

    /// Whose the containers of this engine are, running or not.
    pub async fn home(&self) -> Result<Home, Error> {
        if let Some(home) = self.edges_home().await? {
            return Ok(Home::Folder(home));
        }
        let apps = self.list(APP).await?;
        let signed = apps.iter().find_map(|app| app.labels.as_ref()?.get(label::HOME));
        Ok(match signed {
            Some(home) => Home::Folder(home.into()),
            None if apps.is_empty() => Home::Nobody,
            None => Home::Agent,
        })
    }

    /// The folder of the platform that has an edge on this engine.
    async fn edges_home(&self) -> Result<Option<PathBuf>, Error> {
        let edges = self.list(EDGE).await?;
        let signed = edges.iter().find_map(|edge| edge.labels.as_ref()?.get(label::HOME));
        if let Some(home) = signed {
            return Ok(Some(home.into()));
        }
        let mounts = edges.into_iter().filter_map(|container| container.mounts).flatten();
        let table = mounts
            .filter(|mount| mount.destination.as_deref() == Some(TABLE_FOLDER))
            .find_map(|mount| mount.source);
        Ok(table.and_then(|table| table.strip_suffix("/edge/table").map(PathBuf::from)))
    }

    async fn list(&self, kind: &str) -> Result<Vec<ContainerSummary>, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&of_kind(kind)).build();
        within(QUICK, self.docker.list_containers(Some(options))).await
    }

    async fn remove_containers(&self, kind: &str, whose: Whose<'_>) -> Result<usize, Error> {
        let mut found = self.list(kind).await?;
        found.retain(|container| whose.includes(container.labels.as_ref()));
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

/// What belongs to the platform of a folder.
#[derive(Debug, Clone, Copy)]
struct Whose<'a> {
    homes: &'a [PathBuf],
    /// Whether what does not say whose it is belongs to it, too: earlier versions did not say.
    unsigned: bool,
}

impl Whose<'_> {
    fn includes(self, labels: Option<&HashMap<String, String>>) -> bool {
        match labels.and_then(|labels| labels.get(label::HOME)) {
            Some(home) => self.homes.iter().any(|own| own == Path::new(home)),
            None => self.unsigned,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_signed_by_a_platform_is_its_own_or_what_is_unsigned_beside_its_edge() {
        let homes = [PathBuf::from("/state/up"), PathBuf::from("/disk/up")];
        let signed = |by: &str| HashMap::from([(label::HOME.to_owned(), by.to_owned())]);
        for unsigned in [true, false] {
            let whose = Whose { homes: &homes, unsigned };
            assert!(whose.includes(Some(&signed("/state/up"))));
            assert!(whose.includes(Some(&signed("/disk/up"))));
            assert!(!whose.includes(Some(&signed("/state/other"))));
            assert_eq!(whose.includes(Some(&HashMap::new())), unsigned);
            assert_eq!(whose.includes(None), unsigned);
        }
    }
}
