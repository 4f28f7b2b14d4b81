//! The agent's sections: as they are written, and as they are meant.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chassis::config::Problem;
use common::name::NodeName;
use serde::{Deserialize, Serialize};

use crate::domain::collection::Thresholds;
use crate::ports::{Network, Rules};

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub node: RawNode,
    pub docker: RawDocker,
    pub registry: RawRegistry,
    pub apps: RawApps,
    pub parts: RawParts,
    pub shares: RawShares,
    pub blobs: RawBlobs,
    pub firewall: RawFirewall,
    pub meter: RawMeter,
    pub images: RawImages,
}

/// `[node]`: this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNode {
    pub name: String,
    /// The address on which containers' ports are published.
    pub ip: String,
    /// The folder of the ledger.
    pub data_folder: String,
}

/// `[docker]`: this machine's engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDocker {
    pub socket: String,
    /// Where apps' networks get their addresses from.
    pub subnets: String,
    /// How packages are reached from here; builder stages get it.
    pub build_env_folder: String,
    /// The largest archive that is taken for a build.
    pub build_context_megabytes: usize,
}

/// `[registry]`: where images are pushed to and pulled from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRegistry {
    /// `host:port`; empty for none.
    pub address: String,
    /// `ip:port` of this machine that is forwarded to the platform's own registry; empty for none.
    pub relay: String,
}

/// `[apps]`: the users' containers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawApps {
    /// One that was well and fails its probe for so long is stopped and started again.
    pub restart_after_seconds: u64,
}

/// `[parts]`: parts of the platform itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawParts {
    /// Where the engine's socket is that makes machines, if this machine has one.
    pub machines_socket: String,
    /// So long one may answer nothing before it is ended and started again.
    pub restart_after_seconds: u64,
}

/// `[shares]`: where the code of parts comes from that are built on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawShares {
    /// The folder of what is known of them.
    pub folder: String,
    /// What stands before the paths of shares that are folders.
    pub root: String,
}

/// `[blobs]`: what services keep on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBlobs {
    /// The largest that is taken.
    pub largest_megabytes: u64,
    /// So long one is kept that was put or asked for, whoever refers to it.
    pub keep_unused_minutes: u64,
}

/// `[firewall]`: what apps may not reach.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFirewall {
    pub enabled: bool,
    /// Ranges, separated by commas.
    pub deny: String,
    /// Addresses, separated by commas.
    pub resolvers: String,
}

/// `[meter]`: where the kernel shows what is used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMeter {
    pub cgroup_folder: String,
    pub proc_folder: String,
    /// A folder of the disk that images and containers fill.
    pub disk: String,
}

/// `[images]`: care for the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawImages {
    /// Above this use of the disk, images that nobody refers to are removed.
    pub clean_above_percent: f64,
    /// Until so much of it is in use.
    pub clean_until_percent: f64,
    /// How many of the newest images of an app are kept as long as it is deployed.
    pub keep_newest: usize,
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub node: NodeName,
    pub ip: IpAddr,
    pub data_folder: PathBuf,
    pub socket: PathBuf,
    /// As it is written: the engine's adapter reads it.
    pub subnets: String,
    pub build_env_folder: PathBuf,
    pub registry: Option<String>,
    /// Where this machine's way to the platform's registry begins; none where there is none.
    pub relay: Option<SocketAddr>,
    /// So long an app's container may fail its probe.
    pub restart_ill_after: Duration,
    pub machines_socket: PathBuf,
    /// So long a part may answer nothing.
    pub restart_after: Duration,
    /// The folder of what is known of shares.
    pub shares_folder: PathBuf,
    /// The root of shares that are folders.
    pub shares_root: PathBuf,
    /// The largest blob that is taken.
    pub blob_bytes: u64,
    /// So long a blob is kept that nobody refers to, once it was used.
    pub keep_unused: Duration,
    pub build_context_bytes: usize,
    /// None where it is switched off.
    pub firewall: Option<Rules>,
    pub cgroup_folder: PathBuf,
    pub proc_folder: PathBuf,
    pub disk: PathBuf,
    /// In percent: when the disk is short, and when it no longer is.
    pub clean_above_percent: f64,
    pub clean_until_percent: f64,
    pub keep_newest: usize,
}

impl Config {
    /// Where blobs are kept.
    pub fn blobs_folder(&self) -> PathBuf {
        self.data_folder.join("blobs")
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            above_percent: self.clean_above_percent,
            until_percent: self.clean_until_percent,
        }
    }
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let Raw { node, docker, registry, apps, parts, shares, blobs, firewall, meter, images } =
            self;
        let name = read::<NodeName>("node.name", &node.name, &mut problems);
        let ip = read::<IpAddr>("node.ip", &node.ip, &mut problems);
        let deny = list::<Network>("firewall.deny", &firewall.deny, &mut problems);
        let resolvers = list::<IpAddr>("firewall.resolvers", &firewall.resolvers, &mut problems);
        let relay = registry.relay.trim();
        let relay =
            if relay.is_empty() { None } else { read("registry.relay", relay, &mut problems) };
        let restart_ill_after =
            patience("apps.restart_after_seconds", apps.restart_after_seconds, &mut problems);
        let restart_after =
            patience("parts.restart_after_seconds", parts.restart_after_seconds, &mut problems);
        if !(1..=4096).contains(&docker.build_context_megabytes) {
            problems.push(Problem::new("docker.build_context_megabytes", "must be from 1 to 4096"));
        }
        for (key, path) in [("shares.folder", &shares.folder), ("shares.root", &shares.root)] {
            if !path.starts_with('/') {
                problems.push(Problem::new(key, "must be an absolute path"));
            }
        }
        within("blobs.largest_megabytes", blobs.largest_megabytes, 1..=4096, &mut problems);
        let unused = blobs.keep_unused_minutes;
        within("blobs.keep_unused_minutes", unused, 60..=525_600, &mut problems);
        if !(1.0..=100.0).contains(&images.clean_above_percent) {
            problems.push(Problem::new("images.clean_above_percent", "must be from 1 to 100"));
        }
        if !(1.0..=images.clean_above_percent).contains(&images.clean_until_percent) {
            let rule = "must be from 1 to images.clean_above_percent";
            problems.push(Problem::new("images.clean_until_percent", rule));
        }
        let (Some(node_name), Some(ip), true) = (name, ip, problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Config {
            node: node_name,
            ip,
            data_folder: node.data_folder.into(),
            socket: docker.socket.into(),
            subnets: docker.subnets,
            build_env_folder: docker.build_env_folder.into(),
            registry: Some(registry.address).filter(|address| !address.is_empty()),
            relay,
            restart_ill_after,
            machines_socket: parts.machines_socket.into(),
            restart_after,
            shares_folder: shares.folder.into(),
            shares_root: shares.root.into(),
            blob_bytes: blobs.largest_megabytes * 1024 * 1024,
            keep_unused: Duration::from_mins(blobs.keep_unused_minutes),
            build_context_bytes: docker.build_context_megabytes * 1024 * 1024,
            firewall: firewall.enabled.then_some(Rules { deny, resolvers }),
            cgroup_folder: meter.cgroup_folder.into(),
            proc_folder: meter.proc_folder.into(),
            disk: meter.disk.into(),
            clean_above_percent: images.clean_above_percent,
            clean_until_percent: images.clean_until_percent,
            keep_newest: images.keep_newest,
        })
    }
}

fn within(key: &str, number: u64, bounds: RangeInclusive<u64>, problems: &mut Vec<Problem>) {
    if !bounds.contains(&number) {
        let rule = format!("must be from {} to {}", bounds.start(), bounds.end());
        problems.push(Problem::new(key, rule));
    }
}

/// How long what is ill is left.
fn patience(key: &str, seconds: u64, problems: &mut Vec<Problem>) -> Duration {
    if !(10..=3600).contains(&seconds) {
        problems.push(Problem::new(key, "must be from 10 to 3600"));
    }
    Duration::from_secs(seconds)
}

fn read<T: FromStr>(key: &str, text: &str, problems: &mut Vec<Problem>) -> Option<T>
where
    T::Err: ToString,
{
    match text.trim().parse::<T>() {
        Ok(value) => Some(value),
        Err(err) => {
            problems.push(Problem::new(key, err.to_string()));
            None
        }
    }
}

fn list<T: FromStr>(key: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<T>
where
    T::Err: ToString,
{
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.filter_map(|part| read(key, part, problems)).collect()
}

#[cfg(test)]
impl Config {
    /// Of a node with everything in one folder, on a disk that is never short, without a firewall and without blobs.
    pub(crate) fn in_one_folder(folder: PathBuf) -> Self {
        Config {
            node: "node-1".parse().unwrap(),
            ip: [127, 0, 0, 1].into(),
            data_folder: folder.clone(),
            socket: folder.clone(),
            subnets: String::new(),
            build_env_folder: "/nowhere".into(),
            registry: None,
            relay: None,
            restart_ill_after: Duration::from_secs(30),
            machines_socket: "/nowhere".into(),
            restart_after: Duration::from_mins(1),
            shares_folder: "/nowhere".into(),
            shares_root: "/".into(),
            blob_bytes: 0,
            keep_unused: Duration::from_hours(1),
            build_context_bytes: 0,
            firewall: None,
            cgroup_folder: folder.clone(),
            proc_folder: folder.clone(),
            disk: folder,
            clean_above_percent: 100.0,
            clean_until_percent: 100.0,
            keep_newest: 0,
        }
    }
}

#[cfg(test)]
mod tests;
