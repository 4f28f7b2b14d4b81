//! Certificates of host names, as who gives them sees the load balancer: it keeps them, and has the edge show them.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authority::Papers;
use crate::name::HostName;

pub use super::keeper::Error;

/// What is told of the certificate of a host name: everything but its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCertificate {
    pub host: HostName,
    /// Who signed it.
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
    pub source: Source,
    /// When the platform got it.
    pub since: Timestamp,
}

/// How the platform came to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Somebody gave it.
    Given,
    /// The platform asked a public authority for it.
    Ordered,
}

/// A certificate that the platform asks a public authority for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostOrder {
    pub host: HostName,
    /// What went wrong since the last one that it got, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<OrderFailure>,
}

/// Why there is no certificate yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFailure {
    /// How often in a row.
    pub times: u32,
    /// Stable, with a page in `docs/errors/`.
    pub code: String,
    /// What the authority said the last time, in its own words.
    pub problem: String,
    /// What to do.
    pub hint: String,
    /// Not before this moment is it asked again.
    pub next_try: Timestamp,
}

/// The certificates of host names, and those that are asked for; each sorted by host name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub certificates: Vec<HostCertificate>,
    #[serde(default)]
    pub orders: Vec<HostOrder>,
}

/// Keeps certificates. Every method may be repeated.
#[async_trait]
pub trait Certificates: Debug + Send + Sync {
    /// Shows this one to visitors of the host name from now on; returns once the edge does.
    async fn set(&self, host: &HostName, papers: &Papers) -> Result<HostCertificate, Error>;

    async fn list(&self) -> Result<Listed, Error>;

    /// Shows none from now on; that there is none is told as a refusal.
    async fn remove(&self, host: &HostName) -> Result<(), Error>;
}
