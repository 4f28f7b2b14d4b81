//! The sections `[platform]`, `[machines]` and `[dependencies]`, and document 001's two files: as they are written,
//! and as they are meant.

mod document_001;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chassis::config::Problem;
use chassis::http;
use common::name::NodeName;
use common::record::leader::Advertised;
use common::service::ServiceName;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::order::{Dependencies, PLACEABLE, by_name, start_order};
use crate::domain::plan::Rules;

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub platform: RawPlatform,
    pub machines: RawMachines,
    /// What each service needs before it is started.
    pub dependencies: BTreeMap<String, Vec<String>>,
}

/// `[platform]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPlatform {
    /// Names, separated by commas; empty for those of the file, and without a file for all.
    pub services: String,
    /// Document 001's `services.json` or `service-details.json`; empty for none.
    pub services_file: String,
    /// Of each service, as far as there are machines.
    pub instances: u32,
    /// Services that get a front door at the load balancer, separated by commas.
    pub front_doors: String,
    /// Whether they are one process with this service, and so are not stopped one by one.
    pub single_process: bool,
    pub start_within_seconds: u32,
    pub ready_within_seconds: u32,
    pub stop_within_seconds: u32,
    /// How long an HTTP request waits for the outcome.
    pub answer_within_seconds: u32,
    /// Where `platform_status.json` is written; empty for nowhere.
    pub status_file: String,
}

/// `[machines]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMachines {
    /// Names, separated by commas; empty for those of the file, and without a file for every node.
    pub names: String,
    /// Document 001's `vm-details.json`; empty for none.
    pub file: String,
    /// The machines of the edges and so of the load balancers, separated by commas; empty for the first.
    pub edge: String,
    /// After so long without a sign of life, what a machine had is placed elsewhere; 0 for never.
    pub move_after_seconds: u32,
}

/// What stands in the files that the configuration names.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    pub services: Option<String>,
    pub machines: Option<String>,
}

/// A machine as the configuration calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    /// Document 001's files say it: a node of another name but with this address is meant.
    pub ip: Option<IpAddr>,
}

impl Machine {
    /// Whether a node is this machine.
    pub(crate) fn is(&self, node: &NodeName, ip: IpAddr) -> bool {
        self.name == node.as_str() || self.ip == Some(ip)
    }
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    /// In the order of a start.
    pub services: Vec<ServiceName>,
    pub front_doors: BTreeSet<ServiceName>,
    /// A stop is answered NO, and nothing is done.
    pub single_process: bool,
    /// Empty: every node.
    pub machines: Vec<Machine>,
    /// How long a whole start or stop may take.
    pub within: SignedDuration,
    pub(crate) rules: Rules,
    pub answer_within: Duration,
    pub move_after: Option<SignedDuration>,
    pub status_file: Option<PathBuf>,
    /// Whether `GET /start` and `GET /stop` exist.
    pub document_001_gets: bool,
    /// How others find this instance.
    pub advertised: Advertised,
    /// What was read and means nothing here, for the log.
    pub ignored: Vec<String>,
}

impl Raw {
    /// All problems at once.
    pub fn resolve(
        self,
        http: &http::Config,
        documents: &Documents,
    ) -> Result<Config, Vec<Problem>> {
        let mut problems = self.platform.problems();
        let mut ignored = Vec::new();
        let services = self.services(documents, &mut problems, &mut ignored);
        let needs = self.needs(&services, &mut problems);
        let front_doors = named("platform.front_doors", &self.platform.front_doors, &mut problems);
        problems.extend(wrong_doors(&front_doors, &services));
        let machines = self.machines.meant(documents, &mut problems, &mut ignored);
        let services = match start_order(&services, &with_doors(needs, &front_doors)) {
            Ok(services) => services,
            Err(cycle) => {
                problems.push(Problem::new("dependencies", cycle.to_string()));
                Vec::new()
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let seconds = |count: u32| SignedDuration::from_secs(count.into());
        let RawPlatform { instances, ready_within_seconds, stop_within_seconds, .. } =
            self.platform;
        let RawMachines { edge, move_after_seconds, .. } = self.machines;
        Ok(Config {
            services,
            front_doors,
            single_process: self.platform.single_process,
            machines,
            within: seconds(self.platform.start_within_seconds),
            rules: Rules {
                instances: usize::try_from(instances).unwrap_or(usize::MAX),
                edges: words(&edge).map(str::to_owned).collect(),
                ready_within: seconds(ready_within_seconds),
                stop_within: seconds(stop_within_seconds),
            },
            answer_within: Duration::from_secs(self.platform.answer_within_seconds.into()),
            move_after: Some(seconds(move_after_seconds)).filter(|after| !after.is_zero()),
            status_file: Some(self.platform.status_file)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            document_001_gets: http.document_001_gets,
            advertised: http.advertised(),
            ignored,
        })
    }

    fn services(
        &self,
        documents: &Documents,
        problems: &mut Vec<Problem>,
        ignored: &mut Vec<String>,
    ) -> BTreeSet<ServiceName> {
        let listed = named("platform.services", &self.platform.services, problems);
        match &documents.services {
            Some(_) if !self.platform.services.trim().is_empty() => {
                let message = "says which services there are, and so does platform.services_file";
                problems.push(Problem::new("platform.services", message));
                listed
            }
            Some(text) => document_001::services(text, problems, ignored),
            None if self.platform.services.trim().is_empty() => PLACEABLE.into_iter().collect(),
            None => listed,
        }
    }

    /// Only what is to be started can be waited for.
    fn needs(&self, services: &BTreeSet<ServiceName>, problems: &mut Vec<Problem>) -> Dependencies {
        let mut needs = Dependencies::new();
        for (name, needed) in &self.dependencies {
            let key = format!("dependencies.{name}");
            let Some(service) = by_name(name) else {
                problems.push(unknown(&key, name));
                continue;
            };
            for other in needed {
                match by_name(other) {
                    Some(other) if services.contains(&other) => {
                        needs.entry(service).or_default().insert(other);
                    }
                    Some(_) => {}
                    None => problems.push(unknown(&key, other)),
                }
            }
        }
        needs
    }
}

impl RawPlatform {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(1..=8).contains(&self.instances) {
            problems.push(Problem::new("platform.instances", "must be from 1 to 8"));
        }
        for (key, seconds) in [
            ("platform.start_within_seconds", self.start_within_seconds),
            ("platform.ready_within_seconds", self.ready_within_seconds),
            ("platform.stop_within_seconds", self.stop_within_seconds),
            ("platform.answer_within_seconds", self.answer_within_seconds),
        ] {
            if !(1..=86_400).contains(&seconds) {
                problems.push(Problem::new(key, "must be from 1 to 86400"));
            }
        }
        if !self.status_file.is_empty() && !self.status_file.starts_with('/') {
            problems.push(Problem::new("platform.status_file", "must be absolute"));
        }
        problems
    }
}

impl RawMachines {
    fn meant(
        &self,
        documents: &Documents,
        problems: &mut Vec<Problem>,
        ignored: &mut Vec<String>,
    ) -> Vec<Machine> {
        for edge in words(&self.edge).filter(|edge| edge.parse::<NodeName>().is_err()) {
            problems.push(Problem::new("machines.edge", format!("{edge:?} is no name")));
        }
        let names: Vec<&str> = words(&self.names).collect();
        for name in names.iter().filter(|name| name.parse::<NodeName>().is_err()) {
            problems.push(Problem::new("machines.names", format!("{name:?} is no name")));
        }
        let machine = |name: &&str| Machine { name: (*name).to_owned(), ip: None };
        match &documents.machines {
            Some(_) if !names.is_empty() => {
                let message = "says which machines there are, and so does machines.file";
                problems.push(Problem::new("machines.names", message));
                Vec::new()
            }
            Some(text) => document_001::machines(text, problems, ignored),
            None => names.iter().map(machine).collect(),
        }
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn named(key: &str, list: &str, problems: &mut Vec<Problem>) -> BTreeSet<ServiceName> {
    let mut services = BTreeSet::new();
    for name in words(list) {
        match by_name(name) {
            Some(service) if !services.insert(service) => {
                problems.push(Problem::new(key, format!("{service} stands twice")));
            }
            Some(_) => {}
            None => problems.push(unknown(key, name)),
        }
    }
    services
}

fn unknown(key: &str, name: &str) -> Problem {
    let known = PLACEABLE.map(ServiceName::as_str).join(", ");
    Problem::new(key, format!("{name:?} is no service that is started here; those are {known}"))
}

fn wrong_doors(
    front_doors: &BTreeSet<ServiceName>,
    services: &BTreeSet<ServiceName>,
) -> Vec<Problem> {
    let key = "platform.front_doors";
    let mut problems = Vec::new();
    if front_doors.contains(&ServiceName::LoadBalancer) {
        let message = "the load balancer is found under its own address";
        problems.push(Problem::new(key, message));
    }
    if !front_doors.is_empty() && !services.contains(&ServiceName::LoadBalancer) {
        let message = "needs the load balancer, which is not among the services";
        problems.push(Problem::new(key, message));
    }
    problems
}

/// A front door needs the load balancer, whether it is declared or not.
fn with_doors(mut needs: Dependencies, front_doors: &BTreeSet<ServiceName>) -> Dependencies {
    for service in front_doors.iter().filter(|one| **one != ServiceName::LoadBalancer) {
        needs.entry(*service).or_default().insert(ServiceName::LoadBalancer);
    }
    needs
}
