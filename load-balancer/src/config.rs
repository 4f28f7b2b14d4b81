//! The service's own sections: as they are written, and as they are meant.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chassis::config::Problem;
use chassis::http;
use common::record::leader::Advertised;
use common::record::scale::UsualBounds;
use serde::{Deserialize, Serialize};

use crate::domain::balance::Rules;

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub edge: RawEdge,
    pub scaling: RawScaling,
    pub exports: RawExports,
    pub certificates: RawCertificates,
}

/// `[certificates]`: of host names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCertificates {
    /// The file whose secret keys are sealed with.
    pub seal_file: PathBuf,
}

/// `[edge]`: the front door.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawEdge {
    /// The address that endpoints are announced with.
    pub advertised: String,
    /// The mutual-TLS listener of the load balancer beside the other edge of a pair; empty for none.
    pub other: String,
    /// The front ports to give out; only those that the edge has open are used.
    pub first_port: u16,
    pub last_port: u16,
    /// How long a change may take until every worker of the edge serves it.
    pub confirm_seconds: u64,
    /// How long requests under way at a replica that leaves are waited for.
    pub drain_seconds: u64,
}

/// `[scaling]`: bounds of `scale app$…`, and how apps with bounds of their own are balanced.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawScaling {
    pub max_replicas: u32,
    /// After this long a scale that did not happen is told to have failed.
    pub deadline_seconds: u32,
    /// Over how many samples of each replica, ten a second, load is averaged.
    pub window_samples: usize,
    /// How many replicas in a row may be added without lowering the load.
    pub brake_after: u32,
    /// Of apps that say no bounds; none where the most is 0.
    pub default_min: u32,
    pub default_max: u32,
}

/// `[exports]`: document 001's four files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawExports {
    /// Where they are written; empty for nowhere.
    pub folder: String,
    /// Where the search for a node's next free host port begins.
    pub first_host_port: u16,
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub advertised_ip: IpAddr,
    /// Where the load balancer beside the other edge of a pair listens for services.
    pub other: Option<SocketAddr>,
    pub first_port: u16,
    pub last_port: u16,
    pub confirm_within: Duration,
    pub drain_within: Duration,
    pub max_replicas: u32,
    pub scale_within: Duration,
    /// Over how many samples of each replica load is averaged.
    pub window_samples: usize,
    /// How many additions in a row may fail to lower the load.
    pub brake_after: u32,
    /// The least and the most replicas of apps that say no bounds; without, such apps keep their number.
    pub default_bounds: Option<(u32, u32)>,
    pub exports: Option<PathBuf>,
    pub first_host_port: u16,
    /// What keys of certificates are sealed with.
    pub seal_file: PathBuf,
    /// Whether `/registerApp` and `/deregisterApp` exist.
    pub document_001_gets: bool,
    /// How others find this instance.
    pub advertised: Advertised,
}

impl Config {
    /// What holds for apps that say no bounds, if anything.
    pub(crate) fn usual_bounds(&self) -> Option<UsualBounds> {
        let (min, max) = self.default_bounds?;
        Some(UsualBounds { schema: 1, min, max, most: self.max_replicas })
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            samples: self.window_samples,
            brake_after: self.brake_after,
            most: self.max_replicas,
            place_within: self.scale_within,
        }
    }
}

impl RawScaling {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !(1..=1000).contains(&self.max_replicas) {
            problems.push(Problem::new("scaling.max_replicas", "must be from 1 to 1000"));
        }
        if self.deadline_seconds == 0 {
            problems.push(Problem::new("scaling.deadline_seconds", "must be at least 1"));
        }
        if !(1..=600).contains(&self.window_samples) {
            problems.push(Problem::new("scaling.window_samples", "must be from 1 to 600"));
        }
        if !(1..=100).contains(&self.brake_after) {
            problems.push(Problem::new("scaling.brake_after", "must be from 1 to 100"));
        }
        if self.default_min == 0 {
            problems.push(Problem::new("scaling.default_min", "must be at least 1"));
        }
        if self.default_max > 0 && self.default_max < self.default_min {
            let why = "must not be below scaling.default_min, unless it is 0";
            problems.push(Problem::new("scaling.default_max", why));
        }
        problems
    }

    /// The least and the most.
    fn default_bounds(&self) -> Option<(u32, u32)> {
        (self.default_max > 0).then_some((self.default_min, self.default_max))
    }
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self, http: &http::Config) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let Raw { edge, scaling, exports, certificates } = self;
        let advertised_ip = edge.advertised.parse::<IpAddr>();
        if advertised_ip.is_err() {
            problems.push(Problem::new("edge.advertised", "is not an IP address"));
        }
        let other = Some(edge.other.as_str()).filter(|other| !other.is_empty());
        let other = other.map(str::parse::<SocketAddr>).transpose();
        if other.is_err() {
            problems.push(Problem::new("edge.other", "is not ip:port, nor empty"));
        }
        if edge.first_port == 0 || edge.first_port > edge.last_port {
            problems.push(Problem::new("edge.last_port", "must not be below edge.first_port"));
        }
        if !(1..=300).contains(&edge.confirm_seconds) {
            problems.push(Problem::new("edge.confirm_seconds", "must be from 1 to 300"));
        }
        if edge.drain_seconds > 600 {
            problems.push(Problem::new("edge.drain_seconds", "must be at most 600"));
        }
        problems.extend(scaling.problems());
        match (advertised_ip, other) {
            (Ok(advertised_ip), Ok(other)) if problems.is_empty() => Ok(Config {
                advertised_ip,
                other,
                first_port: edge.first_port,
                last_port: edge.last_port,
                confirm_within: Duration::from_secs(edge.confirm_seconds),
                drain_within: Duration::from_secs(edge.drain_seconds),
                max_replicas: scaling.max_replicas,
                scale_within: Duration::from_secs(scaling.deadline_seconds.into()),
                window_samples: scaling.window_samples,
                brake_after: scaling.brake_after,
                default_bounds: scaling.default_bounds(),
                exports: (!exports.folder.is_empty()).then(|| exports.folder.into()),
                seal_file: certificates.seal_file,
                first_host_port: exports.first_host_port,
                document_001_gets: http.document_001_gets,
                advertised: http.advertised(),
            }),
            (Ok(_) | Err(_), _) => Err(problems),
        }
    }
}
