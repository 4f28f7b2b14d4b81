//! A simulated keeper of certificates: [`MemoryCertificates`].
//!
//! It takes what looks like a certificate and its key, and forgets the key. Its faults are a load balancer that is away,
//! and one that refuses with a problem.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::digest::Digest;
use common::name::HostName;
use common::port::Certificates;
use common::port::authority::Papers;
use common::port::certificates::{Error, HostCertificate, Listed, Source};
use common::problem::Problem;
use jiff::Timestamp;

/// Certificates in memory. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryCertificates {
    keeper: Arc<Mutex<Keeper>>,
}

#[derive(Debug, Default)]
struct Keeper {
    is_away: bool,
    kept: BTreeMap<HostName, HostCertificate>,
}

impl MemoryCertificates {
    /// From now on nobody answers, or somebody again.
    pub fn set_away(&self, is_away: bool) {
        self.keeper().is_away = is_away;
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self) -> Result<MutexGuard<'_, Keeper>, Error> {
        let keeper = self.keeper();
        if keeper.is_away {
            return Err(Error::Unavailable("connection refused".into()));
        }
        Ok(keeper)
    }
}

fn refused(status: u16, code: &str, detail: &str) -> Error {
    Error::Refused(Box::new(Problem::new(status, code, "It cannot be", detail)))
}

#[async_trait]
impl Certificates for MemoryCertificates {
    async fn set(&self, host: &HostName, papers: &Papers) -> Result<HostCertificate, Error> {
        tokio::task::yield_now().await;
        let mut keeper = self.admitted()?;
        if !papers.certificate.contains("-----BEGIN CERTIFICATE-----") {
            return Err(refused(422, "CERTIFICATE_MALFORMED", "there is no certificate in it"));
        }
        if !papers.key.contains("PRIVATE KEY-----") {
            return Err(refused(422, "CERTIFICATE_KEY_MALFORMED", "there is no key in it"));
        }
        let told = HostCertificate {
            host: host.clone(),
            issuer: "CN=example authority".to_owned(),
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::MAX,
            fingerprint: Digest::of(papers.certificate.as_bytes()).to_string(),
            source: Source::Given,
            since: Timestamp::UNIX_EPOCH,
        };
        keeper.kept.insert(host.clone(), told.clone());
        Ok(told)
    }

    async fn list(&self) -> Result<Listed, Error> {
        tokio::task::yield_now().await;
        let certificates = self.admitted()?.kept.values().cloned().collect();
        Ok(Listed { certificates, orders: Vec::new() })
    }

    async fn remove(&self, host: &HostName) -> Result<(), Error> {
        tokio::task::yield_now().await;
        match self.admitted()?.kept.remove(host) {
            Some(_) => Ok(()),
            None => Err(refused(404, "CERTIFICATE_UNKNOWN", "it has no certificate")),
        }
    }
}
