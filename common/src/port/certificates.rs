//! Certificates of host names, as who gives them sees the load balancer: it keeps them, and has the edge show them.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Cause;
use super::authority::Papers;
use crate::name::HostName;
use crate::problem::Problem;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the load balancer cannot be reached")]
    Unavailable(#[source] Cause),
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
}

impl Error {
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}

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
}

/// Keeps certificates. Every method may be repeated.
#[async_trait]
pub trait Certificates: Debug + Send + Sync {
    /// Shows this one to visitors of the host name from now on; returns once the edge does.
    async fn set(&self, host: &HostName, papers: &Papers) -> Result<HostCertificate, Error>;

    /// All of them, sorted by host name.
    async fn list(&self) -> Result<Vec<HostCertificate>, Error>;

    /// Shows none from now on; that there is none is told as a refusal.
    async fn remove(&self, host: &HostName) -> Result<(), Error>;
}
