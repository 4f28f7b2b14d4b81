//! What can be seen of an engine without changing anything: for those who ask whether it can be used.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use common::port::Cause;
use jiff::Timestamp;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::edge;

/// How long each answer may take. A busy engine takes a while to list what it runs.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// An engine that answers.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Its version, and the newest version of its API: `20.10.24+dfsg1` and `1.41` for instance.
    pub version: String,
    pub api_version: String,
    /// The folder of its images and containers, as the engine's machine knows it.
    pub root: PathBuf,
    /// What time it is by its clock, if it says.
    pub time: Option<Timestamp>,
    /// What runs, whosever it is.
    pub running: Vec<Running>,
    /// The name of the platform's edge, if a container has it that is not the platform's, running or not.
    pub edge_name_taken: Option<String>,
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no socket, or nobody listens on it.
    #[error("no container engine listens on {}", .socket.display())]
    Absent {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("this user may not use the container engine at {}", .socket.display())]
    Forbidden {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("what listens on {} does not answer as a container engine does", .socket.display())]
    Silent {
        socket: PathBuf,
        #[source]
        source: Cause,
    },
}

/// Looks at the engine behind a Unix socket.
pub async fn survey(socket: &Path) -> Result<Survey, Unusable> {
    let silent = |source: Cause| Unusable::Silent { socket: socket.to_owned(), source };
    match timeout(ANSWER_WITHIN, UnixStream::connect(socket)).await {
        Ok(connected) => drop(connected.map_err(|err| refused(socket, err))?),
        Err(late) => return Err(silent(late.into())),
    }
    let path = socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&path, ANSWER_WITHIN.as_secs(), API_DEFAULT_VERSION);
    let docker = docker.map_err(|err| silent(err.into()))?;
    let named = HashMap::from([("name", vec![edge::NAME.to_owned()])]);
    let named = ListContainersOptionsBuilder::new().all(true).filters(&named).build();
    let looking = async {
        tokio::try_join!(
            docker.version(),
            docker.info(),
            docker.list_containers(None),
            docker.list_containers(Some(named)),
        )
    };
    let looked = timeout(ANSWER_WITHIN * 2, looking).await;
    let (version, state, containers, named) =
        looked.map_err(|late| silent(late.into()))?.map_err(|err| silent(err.into()))?;
    let mut running: Vec<Running> = containers.into_iter().map(Running::of).collect();
    running.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Survey {
        version: version.version.unwrap_or_default(),
        api_version: version.api_version.unwrap_or_default(),
        root: state.docker_root_dir.unwrap_or_default().into(),
        time: state.system_time.and_then(|time| time.parse().ok()),
        running,
        edge_name_taken: edge_name_taken(named.into_iter().map(Running::of)),
    })
}

impl Running {
    fn of(container: ContainerSummary) -> Self {
        let labels = container.labels.unwrap_or_default().into_iter().collect();
        Running { name: name(container.names), labels }
    }
}

/// The engine gives containers whose names only contain the one that is asked for, too.
fn edge_name_taken(mut named: impl Iterator<Item = Running>) -> Option<String> {
    let taken =
        named.find(|found| found.name == edge::NAME && !found.labels.contains_key(edge::LABEL));
    taken.map(|found| found.name)
}

/// The engine writes a slash before a name, and more than one name where containers are linked.
fn name(names: Option<Vec<String>>) -> String {
    let first = names.unwrap_or_default().into_iter().next().unwrap_or_default();
    first.trim_start_matches('/').to_owned()
}

fn refused(socket: &Path, source: io::Error) -> Unusable {
    let kind = source.kind();
    let socket = socket.to_owned();
    if kind == ErrorKind::PermissionDenied {
        Unusable::Forbidden { socket, source }
    } else if matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory
    ) {
        Unusable::Absent { socket, source }
    } else {
        Unusable::Silent { socket, source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_connect_is_told_so_and_not_that_nothing_is_there() {
        let of = |kind: ErrorKind| refused(Path::new("docker.sock"), kind.into());
        assert!(matches!(of(ErrorKind::PermissionDenied), Unusable::Forbidden { .. }));
        for kind in [ErrorKind::NotFound, ErrorKind::ConnectionRefused] {
            assert!(matches!(of(kind), Unusable::Absent { .. }), "{kind}");
        }
        assert!(matches!(of(ErrorKind::BrokenPipe), Unusable::Silent { .. }));
    }

    #[test]
    fn a_container_of_somebody_else_has_the_name_of_the_edge() {
        let found = |name: &str, label: &str| {
            let labels = BTreeMap::from([(label.to_owned(), String::new())]);
            edge_name_taken([Running { name: name.to_owned(), labels }].into_iter())
        };
        assert_eq!(found(edge::NAME, "shop").as_deref(), Some(edge::NAME));
        assert_eq!(found(edge::NAME, edge::LABEL), None);
        assert_eq!(found("my-avishkar-edge-2", "shop"), None);
    }
}
