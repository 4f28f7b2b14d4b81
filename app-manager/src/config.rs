//! The sections `[auth]`, `[storage]`, `[uploads]`, `[apps]` and `[schedules]`: as they are written, and as they are meant.

use std::path::PathBuf;
use std::time::Duration;

use chassis::config::{Problem, SecretString};
use chassis::http;
use common::port::container::Limits;
use common::record::leader::Advertised;
use serde::{Deserialize, Serialize};

use crate::domain::schedule::calendar;
use crate::domain::settings::Bounds;
use crate::people::secret::{self, Secret};

const MIB: u64 = 1024 * 1024;

/// The service's own sections as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    pub auth: RawAuth,
    pub storage: RawStorage,
    pub uploads: RawUploads,
    pub apps: RawApps,
    pub schedules: RawSchedules,
}

/// `[auth]`: tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAuth {
    /// At least 32 bytes; only from the environment, never in a file that others read.
    pub jwt_secret: SecretString,
    /// A file of mode 0600 with the secret.
    pub jwt_secret_file: String,
    pub token_minutes: u32,
    pub command_line_token_minutes: u32,
}

/// `[storage]`: what is kept on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStorage {
    pub kind: BundleKeeper,
    pub folder: String,
}

/// Who keeps uploaded bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BundleKeeper {
    /// This machine, in a folder that the deployment manager reads as well.
    Folder,
    /// The nodes' agents, two of them each bundle.
    Agents,
}

/// `[uploads]`: bounds of bundles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUploads {
    pub max_mib: u64,
    pub at_once: usize,
    pub check_seconds: u64,
}

/// `[apps]`: bounds of releases and instances.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawApps {
    pub default_memory_mib: u64,
    pub default_cpus: f64,
    pub max_memory_mib: u64,
    pub max_cpus: f64,
    pub max_processes: u32,
    pub max_replicas: u32,
    /// Separated by commas.
    pub image_registries: String,
}

/// `[schedules]`: when instances run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSchedules {
    /// An IANA name.
    pub time_zone: String,
}

/// The service's configuration as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) secret: SecretSource,
    pub(crate) token_lifetime: Duration,
    pub(crate) command_line_token_lifetime: Duration,
    /// Holds `blobs/`, `staging/` and the one-time token.
    pub(crate) folder: PathBuf,
    pub bundles: BundleKeeper,
    pub(crate) max_upload_bytes: u64,
    pub(crate) uploads_at_once: usize,
    pub(crate) check_within: Duration,
    pub(crate) bounds: Bounds,
    pub(crate) image_registries: Vec<String>,
    /// The zone of document 001's times, which name none.
    pub(crate) time_zone: String,
    /// How others find this instance.
    pub advertised: Advertised,
}

/// Where the secret that signs tokens comes from.
#[derive(Debug, Clone)]
pub(crate) enum SecretSource {
    Given(Secret),
    File(PathBuf),
}

impl SecretSource {
    pub(crate) fn load(&self) -> Result<Secret, secret::Error> {
        match self {
            SecretSource::Given(secret) => Ok(secret.clone()),
            SecretSource::File(path) => Secret::load(path),
        }
    }
}

impl Config {
    /// Where the blobs stand; uploads are staged on the same file system.
    pub fn blobs_folder(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    pub(crate) fn staging_folder(&self) -> PathBuf {
        self.folder.join("staging")
    }
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self, http: &http::Config) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(key, message));
            }
        };
        let Raw { auth, storage, uploads, apps, schedules } = self;
        let minutes = 1..=60 * 24 * 30;
        demand(
            minutes.contains(&auth.token_minutes),
            "auth.token_minutes",
            "must be from 1 to 43200",
        );
        demand(
            minutes.contains(&auth.command_line_token_minutes),
            "auth.command_line_token_minutes",
            "must be from 1 to 43200",
        );
        demand(!storage.folder.is_empty(), "storage.folder", "must name a folder");
        demand((1..=1024).contains(&uploads.max_mib), "uploads.max_mib", "must be from 1 to 1024");
        demand((1..=256).contains(&uploads.at_once), "uploads.at_once", "must be from 1 to 256");
        demand(
            (1..=600).contains(&uploads.check_seconds),
            "uploads.check_seconds",
            "must be from 1 to 600",
        );
        let bounds = apps.bounds(&mut demand);
        demand(
            calendar::zone(&schedules.time_zone).is_ok(),
            "schedules.time_zone",
            "must be the IANA name of a time zone, such as Europe/Berlin or UTC",
        );
        let secret = auth.secret();
        if let Err(problem) = &secret {
            problems.push(problem.clone());
        }
        match secret {
            Ok(secret) if problems.is_empty() => Ok(Config {
                secret,
                token_lifetime: Duration::from_mins(auth.token_minutes.into()),
                command_line_token_lifetime: Duration::from_mins(
                    auth.command_line_token_minutes.into(),
                ),
                folder: storage.folder.into(),
                bundles: storage.kind,
                max_upload_bytes: uploads.max_mib * MIB,
                uploads_at_once: uploads.at_once,
                check_within: Duration::from_secs(uploads.check_seconds),
                bounds,
                image_registries: apps.registries(),
                time_zone: schedules.time_zone,
                advertised: http.advertised(),
            }),
            Ok(_) | Err(_) => Err(problems),
        }
    }
}

impl RawAuth {
    fn secret(&self) -> Result<SecretSource, Problem> {
        let given = self.jwt_secret.expose();
        if !given.is_empty() {
            let secret = Secret::new(given.as_bytes().to_vec());
            return secret
                .map(SecretSource::Given)
                .map_err(|err| Problem::new("auth.jwt_secret", err.to_string()));
        }
        if self.jwt_secret_file.is_empty() {
            let message = "is needed: AVISHKAR_AUTH__JWT_SECRET, or a file in auth.jwt_secret_file";
            return Err(Problem::new("auth.jwt_secret", message));
        }
        Ok(SecretSource::File(self.jwt_secret_file.clone().into()))
    }
}

impl RawApps {
    fn registries(&self) -> Vec<String> {
        let names = self.image_registries.split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    fn bounds(&self, demand: &mut impl FnMut(bool, &str, &str)) -> Bounds {
        let mib = 16..=1024 * 1024;
        demand(
            mib.contains(&self.max_memory_mib),
            "apps.max_memory_mib",
            "must be from 16 to 1048576",
        );
        demand(
            (16..=self.max_memory_mib).contains(&self.default_memory_mib),
            "apps.default_memory_mib",
            "must be from 16 to apps.max_memory_mib",
        );
        demand(
            (0.05..=256.0).contains(&self.max_cpus),
            "apps.max_cpus",
            "must be from 0.05 to 256",
        );
        demand(
            (0.05..=self.max_cpus).contains(&self.default_cpus),
            "apps.default_cpus",
            "must be from 0.05 to apps.max_cpus",
        );
        demand(
            (16..=4096).contains(&self.max_processes),
            "apps.max_processes",
            "must be from 16 to 4096",
        );
        demand(
            (1..=1000).contains(&self.max_replicas),
            "apps.max_replicas",
            "must be from 1 to 1000",
        );
        Bounds {
            default_limits: Limits {
                memory_bytes: self.default_memory_mib.saturating_mul(MIB),
                cpu_millis: millis(self.default_cpus),
                processes: self.max_processes,
            },
            max_memory_bytes: self.max_memory_mib.saturating_mul(MIB),
            max_cpu_millis: millis(self.max_cpus),
            max_replicas: self.max_replicas,
        }
    }
}

fn millis(cpus: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "out of range is told as a problem"
    )]
    let millis = (cpus * 1000.0).round() as u32;
    millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        http: http::Raw,
        auth: RawAuth,
        storage: RawStorage,
        uploads: RawUploads,
        apps: RawApps,
        schedules: RawSchedules,
    }

    fn file() -> (http::Config, Raw) {
        let sources = chassis::config::Sources::default();
        let defaults = include_str!("../../config/app-manager.toml");
        let file: File = chassis::config::read(defaults, &sources).unwrap();
        let File { http, auth, storage, uploads, apps, schedules } = file;
        (http.resolve().unwrap(), Raw { auth, storage, uploads, apps, schedules })
    }

    fn keys(raw: Raw, http: &http::Config) -> Vec<String> {
        let problems = raw.resolve(http).unwrap_err();
        problems.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_shipped_file_lacks_nothing_but_the_secret() {
        let (http, raw) = file();
        assert_eq!(keys(raw.clone(), &http), ["auth.jwt_secret"]);
        let secret = SecretString::new("0123456789abcdef0123456789abcdef".to_owned());
        let auth = RawAuth { jwt_secret: secret, ..raw.auth };
        let config = Raw { auth, ..raw }.resolve(&http).unwrap();
        assert_eq!(config.max_upload_bytes, 100 * MIB);
        assert_eq!(config.bounds.default_limits, Limits::default());
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let (http, mut raw) = file();
        raw.auth.jwt_secret = SecretString::new("short".to_owned());
        raw.uploads.max_mib = 0;
        raw.apps.default_cpus = f64::NAN;
        raw.storage.folder = String::new();
        raw.schedules.time_zone = "Mars/Olympus".to_owned();
        assert_eq!(
            keys(raw, &http),
            [
                "storage.folder",
                "uploads.max_mib",
                "apps.default_cpus",
                "schedules.time_zone",
                "auth.jwt_secret"
            ]
        );
    }
}
