//! The section `[node_manager]` and the nodes, `[[node]]`: as they are written, and as they are meant.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use chassis::config::Problem;
use chassis::http;
use common::name::NodeName;
use common::record::leader::Advertised;
use common::record::node::Node;
pub use common::record::release::Strategy;
use serde::{Deserialize, Serialize};

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub node_manager: RawNodeManager,
    pub node: Vec<RawNode>,
}

/// `[node_manager]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNodeManager {
    /// Who says which nodes there are.
    pub nodes: Source,
    /// The folder of the hourly samples.
    pub data_folder: String,
    /// How many days hourly samples are kept.
    pub keep_samples_days: u32,
    /// Of how many of the newest releases of an app the bundles are kept.
    pub keep_releases: usize,
    /// The host ports to give out, on every node.
    pub first_port: u16,
    pub last_port: u16,
    /// How long a port is kept back after its container is gone.
    pub quarantine_seconds: u32,
    /// Where replicas of one instance go.
    pub placement: Strategy,
    /// How long a request waits for nodes that are silent for a moment, before it fails.
    pub patience_seconds: u32,
    /// After this much silence a node gets nothing new.
    pub suspect_after_ms: u64,
    /// After this much silence a node is dead.
    pub dead_after_ms: u64,
    /// How long a node that died twice within this time must be heard before it is used again.
    pub hold_down_seconds: u64,
    /// Above this use of processor, memory or disk a node is alerted about.
    pub alert_percent: f64,
}

/// `[[node]]`: a machine with an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNode {
    pub name: String,
    /// Where its containers' host ports are reached.
    pub ip: String,
    /// `ip:port` of its agent.
    pub agent: String,
    pub os: String,
}

/// Who says which nodes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// This configuration, `[[node]]`.
    Configuration,
    /// The lifecycle manager, by its records.
    Store,
}

/// Which nodes there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nodes {
    /// These, in the order of their names: this service writes their records.
    Configured(Vec<Node>),
    /// Those that have a record, whoever wrote it.
    Stored,
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub nodes: Nodes,
    /// The folder of the hourly samples; without one none are kept.
    pub data_folder: Option<PathBuf>,
    pub keep_samples_days: u32,
    /// Of how many of the newest releases of an app the bundles are kept.
    pub keep_releases: usize,
    pub first_port: u16,
    pub last_port: u16,
    pub quarantine: Duration,
    pub placement: Strategy,
    pub patience: Duration,
    pub suspect_after: Duration,
    pub dead_after: Duration,
    pub hold_down: Duration,
    pub alert_percent: f64,
    /// Whether `GET /nodemgr/log` exists.
    pub document_001_gets: bool,
    /// How others find this instance.
    pub advertised: Advertised,
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self, http: &http::Config) -> Result<Config, Vec<Problem>> {
        let Raw { node_manager: section, node } = self;
        let mut problems = section.problems();
        let mut nodes: Vec<Node> = Vec::with_capacity(node.len());
        let mut names = BTreeSet::new();
        for (number, raw) in node.into_iter().enumerate() {
            match raw.resolve(number) {
                Ok(node) if !names.insert(node.name.clone()) => {
                    let key = format!("node[{number}].name");
                    problems.push(Problem::new(&key, format!("{} stands twice", node.name)));
                }
                Ok(node) => nodes.push(node),
                Err(more) => problems.extend(more),
            }
        }
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        if section.nodes == Source::Store && !nodes.is_empty() {
            let message = "names nodes, while node_manager.nodes says that the store does";
            problems.push(Problem::new("node", message));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Config {
            nodes: match section.nodes {
                Source::Configuration => Nodes::Configured(nodes),
                Source::Store => Nodes::Stored,
            },
            data_folder: Some(section.data_folder.into()),
            keep_samples_days: section.keep_samples_days,
            keep_releases: section.keep_releases,
            first_port: section.first_port,
            last_port: section.last_port,
            quarantine: Duration::from_secs(section.quarantine_seconds.into()),
            placement: section.placement,
            patience: Duration::from_secs(section.patience_seconds.into()),
            suspect_after: Duration::from_millis(section.suspect_after_ms),
            dead_after: Duration::from_millis(section.dead_after_ms),
            hold_down: Duration::from_secs(section.hold_down_seconds),
            alert_percent: section.alert_percent,
            document_001_gets: http.document_001_gets,
            advertised: http.advertised(),
        })
    }
}

impl RawNodeManager {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(&format!("node_manager.{key}"), message));
            }
        };
        demand(!self.data_folder.is_empty(), "data_folder", "must name a folder");
        demand(
            (1..=3650).contains(&self.keep_samples_days),
            "keep_samples_days",
            "must be from 1 to 3650",
        );
        let releases = (1..=1000).contains(&self.keep_releases);
        demand(releases, "keep_releases", "must be from 1 to 1000");
        demand(self.first_port >= 1024, "first_port", "must be at least 1024");
        demand(self.first_port <= self.last_port, "last_port", "must not be below first_port");
        demand(self.quarantine_seconds <= 3600, "quarantine_seconds", "must be at most 3600");
        demand(self.patience_seconds <= 300, "patience_seconds", "must be at most 300");
        demand(self.suspect_after_ms >= 500, "suspect_after_ms", "must be at least 500");
        demand(
            self.dead_after_ms >= self.suspect_after_ms,
            "dead_after_ms",
            "must not be below suspect_after_ms",
        );
        demand(self.hold_down_seconds <= 3600, "hold_down_seconds", "must be at most 3600");
        demand(
            (1.0..=100.0).contains(&self.alert_percent),
            "alert_percent",
            "must be from 1 to 100",
        );
        problems
    }
}

impl RawNode {
    fn resolve(self, number: usize) -> Result<Node, Vec<Problem>> {
        let problem = |key: &str, message: String| {
            vec![Problem::new(&format!("node[{number}].{key}"), message)]
        };
        let name = self.name.parse::<NodeName>();
        let name = name.map_err(|err| problem("name", format!("{:?}: {err}", self.name)))?;
        let ip =
            self.ip.parse().map_err(|_| problem("ip", format!("{:?} is no address", self.ip)))?;
        let agent = self.agent.parse();
        let agent =
            agent.map_err(|_| problem("agent", format!("{:?} is not ip:port", self.agent)))?;
        Ok(Node { schema: 1, name, ip, agent, os: self.os, leaves: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        http: http::Raw,
        node_manager: RawNodeManager,
        node: Vec<RawNode>,
    }

    fn file() -> File {
        let sources = chassis::config::Sources::default();
        chassis::config::read(include_str!("../../config/node-manager.toml"), &sources).unwrap()
    }

    #[test]
    fn the_shipped_file_is_right() {
        let file = file();
        let http = file.http.resolve().unwrap();
        let raw = Raw { node_manager: file.node_manager, node: file.node };
        let config = raw.resolve(&http).unwrap();
        assert_eq!((config.first_port, config.last_port), (20_000, 29_999));
        assert_eq!(config.nodes, Nodes::Configured(Vec::new()));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let file = file();
        let http = file.http.resolve().unwrap();
        let node = |name: &str, ip: &str| RawNode {
            name: name.to_owned(),
            ip: ip.to_owned(),
            agent: "192.0.2.1:7443".to_owned(),
            os: "debian".to_owned(),
        };
        let node =
            vec![node("a", "192.0.2.1"), node("a", "192.0.2.1"), node("b", "x"), node("C", "")];
        let node_manager = RawNodeManager {
            keep_releases: 0,
            last_port: 1,
            dead_after_ms: 1,
            ..file.node_manager
        };
        let problems = Raw { node_manager, node }.resolve(&http).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected = [
            "node_manager.keep_releases",
            "node_manager.last_port",
            "node_manager.dead_after_ms",
            "node[1].name",
            "node[2].ip",
            "node[3].name",
        ];
        assert_eq!(keys, expected);
    }
}
