//! The sections `[deployment]` and `[build]`: as they are written, and as they are meant.

use std::path::PathBuf;
use std::time::Duration;

use chassis::config::Problem;
use chassis::http;
use common::record::leader::Advertised;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::domain::dockerfile::Images;
use crate::domain::patience::Patience;

/// The registry's entries of all replicas must fit into one transaction.
const MOST_REPLICAS: u32 = 25;
/// Their images stay on the nodes, and the record of the deployment names them all.
const MOST_RELEASES: usize = 25;
/// Two deploys are not to wait for each other's first minutes.
const MOST_WATCHED: u32 = 300;
const MIB: u64 = 1024 * 1024;

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub deployment: RawDeployment,
    pub build: RawBuild,
}

/// `[deployment]`: how long things may take, in seconds, and how much there may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDeployment {
    pub deploy_seconds: u32,
    pub stop_seconds: u32,
    pub undo_seconds: u32,
    pub ask_again_seconds: u32,
    pub need_node_seconds: u32,
    pub node_seconds: u32,
    pub image_seconds: u32,
    pub health_seconds: u32,
    pub front_seconds: u32,
    pub keep_removed_seconds: u32,
    pub scan_seconds: u32,
    pub sweep_seconds: u32,
    pub max_replicas: u32,
    pub keep_releases: usize,
    pub at_once: usize,
    pub spare_images: bool,
    pub rebalance_seconds: u32,
    pub watch_seconds: u32,
    /// It is the node manager's now: read, so that a file or variable of before does not stop an upgrade, and not followed.
    #[serde(default, skip_serializing)]
    pub placement: Option<String>,
}

/// `[build]`: how images are made of bundles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBuild {
    pub folder: String,
    pub at_once: usize,
    pub max_unpacked_mebibytes: u64,
    pub python_builder: String,
    pub python: String,
    pub node_builder: String,
    pub node: String,
    pub static_site: String,
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub patience: Patience,
    /// In each period of this length one machine is asked for at most.
    pub need_node_every: SignedDuration,
    /// How often every deployment is looked at, whatever happened.
    pub scan_every: Duration,
    /// How often every node's containers are listed.
    pub sweep_every: Duration,
    pub most_replicas: usize,
    /// How many releases that were in service an instance can go back to, with the one that is.
    pub kept_releases: usize,
    /// How many deployments are worked on at once.
    pub at_once: usize,
    /// Whether what is served has its image on one node more than runs it.
    pub spare_images: bool,
    /// In each interval of this length one replica is brought to another node at most; none where that is switched off.
    pub rebalance_every: Option<Duration>,
    /// Where bundles and build contexts stand during a build; nothing in it has a name.
    pub build_folder: PathBuf,
    /// How many images are built at once.
    pub builds_at_once: usize,
    /// How many bytes of files a build context may have.
    pub most_unpacked: u64,
    pub images: Images,
    /// How others find this instance.
    pub advertised: Advertised,
    /// Whether the configuration says `deployment.placement`, as before the node manager's setting alone counted.
    pub says_placement: bool,
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self, http: &http::Config) -> Result<Config, Vec<Problem>> {
        let Raw { deployment, build } = self;
        let mut problems = Vec::new();
        for (key, seconds) in deployment.durations() {
            if !(1..=86_400).contains(&seconds) {
                problems.push(Problem::new(key, "must be from 1 to 86400"));
            }
        }
        if !(1..=MOST_REPLICAS).contains(&deployment.max_replicas) {
            let message = format!("must be from 1 to {MOST_REPLICAS}");
            problems.push(Problem::new("deployment.max_replicas", message));
        }
        if !(1..=MOST_RELEASES).contains(&deployment.keep_releases) {
            let message = format!("must be from 1 to {MOST_RELEASES}");
            problems.push(Problem::new("deployment.keep_releases", message));
        }
        if deployment.rebalance_seconds > 86_400 {
            problems.push(Problem::new("deployment.rebalance_seconds", "must be from 0 to 86400"));
        }
        if deployment.watch_seconds > MOST_WATCHED {
            let message = format!("must be from 0 to {MOST_WATCHED}");
            problems.push(Problem::new("deployment.watch_seconds", message));
        }
        if !(1..=256).contains(&deployment.at_once) {
            problems.push(Problem::new("deployment.at_once", "must be from 1 to 256"));
        }
        if !(1..=64).contains(&build.at_once) {
            problems.push(Problem::new("build.at_once", "must be from 1 to 64"));
        }
        if !(1..=4096).contains(&build.max_unpacked_mebibytes) {
            problems.push(Problem::new("build.max_unpacked_mebibytes", "must be from 1 to 4096"));
        }
        if build.folder.is_empty() {
            problems.push(Problem::new("build.folder", "must name a folder"));
        }
        for (key, image) in build.images() {
            if !is_image(image) {
                problems.push(Problem::new(key, format!("{image:?} does not name an image")));
            }
        }
        if problems.is_empty() { Ok(meant(&deployment, build, http)) } else { Err(problems) }
    }
}

impl RawDeployment {
    fn durations(&self) -> [(&'static str, u32); 12] {
        [
            ("deployment.deploy_seconds", self.deploy_seconds),
            ("deployment.stop_seconds", self.stop_seconds),
            ("deployment.undo_seconds", self.undo_seconds),
            ("deployment.ask_again_seconds", self.ask_again_seconds),
            ("deployment.need_node_seconds", self.need_node_seconds),
            ("deployment.node_seconds", self.node_seconds),
            ("deployment.image_seconds", self.image_seconds),
            ("deployment.health_seconds", self.health_seconds),
            ("deployment.front_seconds", self.front_seconds),
            ("deployment.keep_removed_seconds", self.keep_removed_seconds),
            ("deployment.scan_seconds", self.scan_seconds),
            ("deployment.sweep_seconds", self.sweep_seconds),
        ]
    }
}

impl RawBuild {
    fn images(&self) -> [(&'static str, &str); 5] {
        [
            ("build.python_builder", &self.python_builder),
            ("build.python", &self.python),
            ("build.node_builder", &self.node_builder),
            ("build.node", &self.node),
            ("build.static_site", &self.static_site),
        ]
    }
}

/// An image's reference stands in a line of a `Dockerfile`: it must not be able to be more than one word.
fn is_image(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    text.bytes().all(allowed) && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

fn meant(deployment: &RawDeployment, build: RawBuild, http: &http::Config) -> Config {
    let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
    Config {
        patience: Patience {
            deploy: seconds(deployment.deploy_seconds),
            stop: seconds(deployment.stop_seconds),
            undo: seconds(deployment.undo_seconds),
            ask: seconds(deployment.ask_again_seconds),
            node: seconds(deployment.node_seconds),
            image: seconds(deployment.image_seconds),
            health: seconds(deployment.health_seconds),
            front: seconds(deployment.front_seconds),
            watch: seconds(deployment.watch_seconds),
            rebalance: seconds(deployment.rebalance_seconds),
            tombstone: seconds(deployment.keep_removed_seconds),
            ..Patience::default()
        },
        need_node_every: seconds(deployment.need_node_seconds),
        scan_every: Duration::from_secs(deployment.scan_seconds.into()),
        sweep_every: Duration::from_secs(deployment.sweep_seconds.into()),
        most_replicas: usize::try_from(deployment.max_replicas).unwrap_or(1),
        kept_releases: deployment.keep_releases,
        at_once: deployment.at_once,
        spare_images: deployment.spare_images,
        rebalance_every: (deployment.rebalance_seconds > 0)
            .then(|| Duration::from_secs(deployment.rebalance_seconds.into())),
        build_folder: build.folder.into(),
        builds_at_once: build.at_once,
        most_unpacked: build.max_unpacked_mebibytes * MIB,
        images: Images {
            python_builder: build.python_builder,
            python: build.python,
            node_builder: build.node_builder,
            node: build.node,
            static_site: build.static_site,
        },
        advertised: http.advertised(),
        says_placement: deployment.placement.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use chassis::config::Sources;

    use super::*;

    #[test]
    fn a_placement_of_before_is_read_and_not_shown() {
        #[derive(Deserialize)]
        struct File {
            deployment: RawDeployment,
        }
        let read = |variables: &[(&str, &str)]| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let environment = variables.iter().map(owned).collect();
            let sources = Sources { environment, ..Sources::default() };
            let text = include_str!("../../config/deployment-manager.toml");
            chassis::config::read::<File>(text, &sources).map(|file| file.deployment)
        };
        let before = read(&[("AVISHKAR_DEPLOYMENT__PLACEMENT", "same-node")]).unwrap();
        assert_eq!(before.placement.as_deref(), Some("same-node"));
        assert!(!chassis::config::print(&before).contains("placement"));
        assert_eq!(read(&[]).unwrap().placement, None);
        assert!(read(&[("AVISHKAR_DEPLOYMENT__PLACE", "same-node")]).is_err());
    }

    #[test]
    fn an_image_is_one_word() {
        assert!(is_image("registry:5000/avishkar/runtime-python:dev"));
        for text in ["", "-x", "a b", "a\nRUN x", "a AS b", "$X"] {
            assert!(!is_image(text), "{text:?}");
        }
    }
}
