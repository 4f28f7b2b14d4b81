//! The `[http]` section.

use std::net::SocketAddr;
use std::path::PathBuf;

use common::record::leader::Advertised;
use serde::{Deserialize, Serialize};

use crate::config::Problem;

/// `[http]` as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// Where the plain listener binds, `ip:port`; empty for none.
    pub address: String,
    /// Where the mutual-TLS listener binds, `ip:port`; empty for none.
    pub internal_address: String,
    /// `ip:port` or `host:port` under which others find the plain listener.
    pub advertised: String,
    /// The folder with `ca.pem`, `<service>.pem` and `<service>.key`.
    pub pki: String,
    /// Threads that answer requests.
    pub workers: usize,
    /// Web origins that may call from a browser.
    pub cors_origins: Vec<String>,
    /// Whether document 001's GETs that change something exist.
    pub document_001_gets: bool,
}

/// `[http]` as it is meant.
#[derive(Debug, Clone)]
pub struct Config {
    pub address: Option<SocketAddr>,
    pub internal_address: Option<SocketAddr>,
    pub advertised: String,
    pub pki: PathBuf,
    pub workers: usize,
    pub cors_origins: Vec<String>,
    pub document_001_gets: bool,
}

impl Config {
    /// How others find this instance: the mutual-TLS listener has the same host.
    pub fn advertised(&self) -> Advertised {
        let host =
            self.advertised.rsplit_once(':').map_or(self.advertised.as_str(), |(host, _)| host);
        let internal = self.internal_address.map(|address| format!("{host}:{}", address.port()));
        Advertised { plain: self.advertised.clone(), internal }
    }
}

impl Raw {
    /// All problems at once.
    pub fn resolve(self) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut address = |key: &str, text: &str| match text {
            "" => None,
            text => match text.parse() {
                Ok(address) => Some(address),
                Err(_) => {
                    problems.push(Problem::new(key, format!("{text:?} is not ip:port")));
                    None
                }
            },
        };
        let plain = address("http.address", &self.address);
        let internal = address("http.internal_address", &self.internal_address);
        if !(1..=64).contains(&self.workers) {
            problems.push(Problem::new("http.workers", "must be from 1 to 64"));
        }
        if problems.is_empty() {
            Ok(Config {
                address: plain,
                internal_address: internal,
                advertised: self.advertised,
                pki: self.pki.into(),
                workers: self.workers,
                cors_origins: self.cors_origins,
                document_001_gets: self.document_001_gets,
            })
        } else {
            Err(problems)
        }
    }
}
