//! What `avishkar up` runs with: the files of all services, each with what one process needs differently.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;

use adapters::docker::EdgePorts;
use chassis::config::{self, Error, Problem, Sources};
use chassis::telemetry;
use common::service::ServiceName;
use serde::Deserialize;
use toml::{Table, Value};

use crate::doctor;
use crate::wiring::{self, Frame, Wiring};

const DIFFERENCES: &str = include_str!("../../../../config/up.toml");
const OWN: &str = "up";

/// Everything, as it is meant.
pub(in crate::command) struct Settings {
    pub(super) edge: RawEdge,
    pub(in crate::command) firewall: RawFirewall,
    pub(super) telemetry: telemetry::Config,
    pub(super) app_manager: Placed<wiring::app_manager::File>,
    pub(super) deployment_manager: Placed<wiring::deployment_manager::File>,
    pub(super) node_manager: Placed<wiring::node_manager::File>,
    pub(super) load_balancer: Placed<wiring::load_balancer::File>,
    pub(super) monitoring: Placed<wiring::monitoring::File>,
    pub(super) lifecycle_manager: Placed<wiring::lifecycle_manager::File>,
    pub(super) platform_initializer: Placed<wiring::platform_initializer::File>,
    pub(in crate::command) node_agent: Placed<wiring::node_agent::File>,
}

/// One service's file as it is meant.
pub(in crate::command) struct Placed<W: Wiring> {
    pub(super) frame: Frame,
    pub(in crate::command) meant: W::Meant,
}

/// `[up]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUp {
    edge: RawEdge,
    firewall: RawFirewall,
    telemetry: telemetry::Config,
}

/// `[up.edge]`: the container that NGINX runs in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEdge {
    pub(super) image: String,
    pub(super) bind: IpAddr,
    /// Where host names are listened for, and over TLS.
    pub(super) host_port: u16,
    pub(super) tls_port: u16,
    /// The port over TLS as visitors see it; 0 where it is the same.
    pub(super) tls_announced: u16,
    pub(super) requests_per_address: u16,
}

/// What a process without any right may not listen on.
const UNPRIVILEGED: u16 = 1024;
/// Those that the edge's image has for apps, and those that config/node-manager.toml has for replicas.
const GIVEN_OUT: [(RangeInclusive<u16>, &str); 2] = [
    (2000..=2999, "is a front port: those from 2000 to 2999 are apps'"),
    (20000..=29999, "is a port of replicas: they are given those from 20000 to 29999"),
];

impl RawEdge {
    /// For whoever looks whether that can be. A usual port for TLS that another program has is done without.
    pub(super) fn listens(&self) -> doctor::Edge {
        let tls = Some(self.tls_port).filter(|port| *port != EdgePorts::USUAL.tls_port);
        doctor::Edge { host_names: self.host_port, tls, ..doctor::Edge::at(self.bind) }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, port) in
            [("up.edge.host_port", self.host_port), ("up.edge.tls_port", self.tls_port)]
        {
            if port < UNPRIVILEGED {
                let why = "must be 1024 or more; send lower ones to it, and say tls_announced";
                problems.push(Problem::new(key, why));
            }
            let taken = GIVEN_OUT.into_iter().find(|(range, _)| range.contains(&port));
            problems.extend(taken.map(|(_, why)| Problem::new(key, why)));
        }
        if self.host_port == self.tls_port {
            problems.push(Problem::new("up.edge.tls_port", "is up.edge.host_port, too"));
        }
        problems
    }
}

/// `[up.firewall]`: what sets the packet filter where the platform is not root.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::command) struct RawFirewall {
    pub(in crate::command) image: String,
}

/// Where settings come from.
#[derive(Debug, Clone, Copy)]
pub(in crate::command) struct From<'a> {
    /// The folder of everything that is kept.
    pub(in crate::command) data: &'a Path,
    /// A folder with files of the user's own.
    pub(in crate::command) files: Option<&'a Path>,
    /// `service.section.key` and its value.
    pub(in crate::command) overrides: &'a [(String, String)],
}

impl Settings {
    pub(in crate::command) fn read(from: From<'_>) -> Result<Self, Error> {
        let mut differences = differences(from.data);
        let mut problems = from.strangers();
        problems.extend(from.strange_files());
        let own = from.sources(OWN, &differences.remove(OWN).unwrap_or_default());
        let RawUp { edge, firewall, telemetry } = config::read("", &own)?;
        problems.extend(edge.problems());
        let app_manager = place(from, &differences, &mut problems)?;
        let deployment_manager = place(from, &differences, &mut problems)?;
        let node_manager = place(from, &differences, &mut problems)?;
        let load_balancer = place(from, &differences, &mut problems)?;
        let monitoring = place(from, &differences, &mut problems)?;
        let lifecycle_manager = place(from, &differences, &mut problems)?;
        let platform_initializer = place(from, &differences, &mut problems)?;
        let node_agent = place(from, &differences, &mut problems)?;
        let all = || {
            Some(Settings {
                edge,
                firewall,
                telemetry,
                app_manager: app_manager?,
                deployment_manager: deployment_manager?,
                node_manager: node_manager?,
                load_balancer: load_balancer?,
                monitoring: monitoring?,
                lifecycle_manager: lifecycle_manager?,
                platform_initializer: platform_initializer?,
                node_agent: node_agent?,
            })
        };
        all().filter(|_| problems.is_empty()).ok_or(Error::Wrong(problems))
    }
}

impl Settings {
    /// Where each service listens for people.
    pub(in crate::command) fn listeners(&self) -> Vec<(ServiceName, SocketAddr)> {
        let listens =
            |(service, frame): (ServiceName, &Frame)| Some((service, frame.http.address?));
        self.frames().into_iter().filter_map(listens).collect()
    }

    /// What every service's file says besides its own sections.
    pub(super) fn frames(&self) -> [(ServiceName, &Frame); 8] {
        [
            (ServiceName::AppManager, &self.app_manager.frame),
            (ServiceName::DeploymentManager, &self.deployment_manager.frame),
            (ServiceName::NodeManager, &self.node_manager.frame),
            (ServiceName::LoadBalancer, &self.load_balancer.frame),
            (ServiceName::Monitoring, &self.monitoring.frame),
            (ServiceName::LifecycleManager, &self.lifecycle_manager.frame),
            (ServiceName::PlatformInitializer, &self.platform_initializer.frame),
            (ServiceName::NodeAgent, &self.node_agent.frame),
        ]
    }
}

impl From<'_> {
    /// Where one section group's settings come from: `layer` under the user's own files and words.
    fn sources(self, name: &str, layer: &Table) -> Sources {
        let file = self.files.map(|folder| folder.join(format!("{name}.toml")));
        let own = |(key, value): &(String, String)| {
            let key = key.strip_prefix(name)?.strip_prefix('.')?;
            Some((key.to_owned(), value.clone()))
        };
        Sources {
            layer: layer.to_string(),
            file: file.filter(|file| file.exists()),
            environment: BTreeMap::new(),
            overrides: self.overrides.iter().filter_map(own).collect(),
        }
    }

    /// What is said of services that there are none of.
    fn strangers(self) -> Vec<Problem> {
        let known = |key: &str| is_known(key.split('.').next().unwrap_or_default());
        let unknown = self.overrides.iter().filter(|(key, _)| !known(key));
        let problem = |(key, _): &(String, String)| {
            Problem::new(
                key,
                "begins with the name of a service: app-manager.uploads.max_mib for instance",
            )
        };
        unknown.map(problem).collect()
    }

    /// What is said of a folder that cannot be read, or of its files that nobody would read.
    fn strange_files(self) -> Vec<Problem> {
        let Some(folder) = self.files else { return Vec::new() };
        let names = match toml_files(folder) {
            Ok(names) => names,
            Err(err) => {
                let sentence = format!("{} cannot be read as a folder: {err}", folder.display());
                return vec![Problem::new("--config", sentence)];
            }
        };
        let known = |name: &String| name.strip_suffix(".toml").is_some_and(is_known);
        let services = ServiceName::ALL.map(ServiceName::as_str);
        let problem = |name: String| {
            let file = folder.join(name).display().to_string();
            let read: Vec<String> =
                [OWN].iter().chain(&services).map(|name| format!("{name}.toml")).collect();
            Problem::new(&file, format!("nothing is called that: it is one of {}", read.join(", ")))
        };
        names.into_iter().filter(|name| !known(name)).map(problem).collect()
    }
}

/// Whether settings of this name are read.
fn is_known(name: &str) -> bool {
    name == OWN || name.parse::<ServiceName>().is_ok()
}

/// The names of a folder's toml files, but for those that editors hide there.
pub(super) fn toml_files(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let extension = Path::new(&name).extension();
        let is_toml = extension.is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        if is_toml && !name.starts_with('.') {
            names.insert(name);
        }
    }
    Ok(names)
}

/// What one process needs differently, by service.
fn differences(data: &Path) -> BTreeMap<String, Table> {
    let state = data.parent().unwrap_or(data);
    let mut differences: Value =
        toml::from_str(DIFFERENCES).unwrap_or_else(|_| Table::new().into());
    fill(&mut differences, &[("{data}", data), ("{state}", state)]);
    let Value::Table(services) = differences else { return BTreeMap::new() };
    let table = |(name, value): (String, Value)| Some((name, Table::try_from(value).ok()?));
    services.into_iter().filter_map(table).collect()
}

/// Puts folders in the place of their names.
fn fill(value: &mut Value, names: &[(&str, &Path)]) {
    if let Value::String(text) = value {
        for (name, path) in names {
            *text = text.replace(name, &path.to_string_lossy());
        }
    } else if let Value::Table(table) = value {
        for (_, value) in table.iter_mut() {
            fill(value, names);
        }
    } else if let Value::Array(values) = value {
        for value in values {
            fill(value, names);
        }
    }
}

/// Reads and resolves one service's file; its problems carry its name.
fn place<W: Wiring>(
    from: From<'_>,
    differences: &BTreeMap<String, Table>,
    problems: &mut Vec<Problem>,
) -> Result<Option<Placed<W>>, Error> {
    let name = W::SERVICE.as_str();
    let layer = differences.get(name).cloned().unwrap_or_default();
    let file: W = config::read(W::DEFAULTS, &from.sources(name, &layer))?;
    match file.resolve() {
        Ok((frame, meant)) => Ok(Some(Placed { frame, meant })),
        Err(found) => {
            let named =
                |problem: Problem| Problem { key: format!("{name}.{}", problem.key), ..problem };
            problems.extend(found.into_iter().map(named));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(overrides: &[(&str, &str)]) -> Result<Settings, Error> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let overrides: Vec<_> = overrides.iter().map(owned).collect();
        let data = Path::new("/state/up");
        Settings::read(From { data, files: None, overrides: &overrides })
    }

    #[test]
    fn everything_is_kept_below_the_folder() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.telemetry.log_folder, "/state/up/logs");
        let folders = settings.load_balancer.meant.edge_folders();
        assert_eq!(folders, ("/state/up/edge/table".into(), "/state/up/edge/run".into()));
        let agent = settings.node_agent.meant;
        assert_eq!(agent.data_folder, Path::new("/state/up/node-agent"));
        assert_eq!(agent.build_env_folder, Path::new("/state/images/build-env"));
    }

    #[test]
    fn nobody_listens_for_other_processes() {
        let settings = read(&[]).unwrap();
        let frames = settings.frames().map(|(_, frame)| frame);
        assert!(frames.iter().all(|frame| frame.http.internal_address.is_none()));
        let loopback = |frame: &&Frame| frame.http.address.is_none_or(|at| at.ip().is_loopback());
        assert!(frames.iter().all(loopback));
    }

    #[test]
    fn a_setting_is_given_with_the_name_of_its_service() {
        let settings = read(&[("load-balancer.edge.advertised", "192.0.2.1")]).unwrap();
        assert!(!settings.load_balancer.frame.http.advertised.is_empty());
        for wrong in [("edge.advertised", "192.0.2.1"), ("load-balancer.edge.advertised", "x")] {
            let Err(Error::Wrong(problems)) = read(&[wrong]) else { panic!("{wrong:?} is taken") };
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].key, wrong.0);
        }
    }

    #[test]
    fn ports_of_host_names_are_two_that_the_edge_may_listen_on() {
        let edge = read(&[("up.edge.host_port", "8888"), ("up.edge.tls_port", "9443")]);
        let edge = edge.unwrap().edge;
        assert_eq!((edge.host_port, edge.tls_port, edge.tls_announced), (8888, 9443, 0));
        for (key, port) in [
            ("up.edge.tls_port", "443"),
            ("up.edge.host_port", "80"),
            ("up.edge.tls_port", "2443"),
            ("up.edge.tls_port", "29999"),
            ("up.edge.tls_port", "8088"),
        ] {
            let Err(Error::Wrong(problems)) = read(&[(key, port)]) else { panic!("{port}") };
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].key, key);
        }
    }

    #[test]
    fn a_file_of_ones_own_comes_on_top() {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("up.toml"), "[edge]\nbind = \"0.0.0.0\"\n").unwrap();
        let data = Path::new("/state/up");
        let from = From { data, files: Some(files.path()), overrides: &[] };
        assert!(Settings::read(from).unwrap().edge.bind.is_unspecified());
    }

    #[test]
    fn a_file_that_nobody_would_read_is_refused_by_its_name() {
        let files = tempfile::tempdir().unwrap();
        for fine in ["app-manager.toml", "README.md", ".#up.toml"] {
            fs::write(files.path().join(fine), "").unwrap();
        }
        let data = Path::new("/state/up");
        let from = From { data, files: Some(files.path()), overrides: &[] };
        assert!(Settings::read(from).is_ok());
        for wrong in ["app-manger.toml", "up.TOML"] {
            fs::write(files.path().join(wrong), "").unwrap();
            let Err(Error::Wrong(problems)) = Settings::read(from) else {
                panic!("{wrong} is taken")
            };
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].key.ends_with(wrong), "{problems:?}");
            assert!(problems[0].message.contains("up.toml, app-manager.toml"), "{problems:?}");
            fs::remove_file(files.path().join(wrong)).unwrap();
        }
    }

    #[test]
    fn a_folder_of_files_must_be_there() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("up.toml");
        fs::write(&file, "").unwrap();
        let data = Path::new("/state/up");
        for wrong in [place.path().join("nothing"), file] {
            let from = From { data, files: Some(&wrong), overrides: &[] };
            let Err(Error::Wrong(problems)) = Settings::read(from) else {
                panic!("{wrong:?} is taken")
            };
            assert_eq!(problems[0].key, "--config", "{problems:?}");
            assert!(problems[0].message.contains(&wrong.display().to_string()), "{problems:?}");
        }
    }
}
