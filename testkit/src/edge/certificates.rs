//! The simulated edge's certificates: whole sets, by age, as its tables.

use std::collections::BTreeSet;

use async_trait::async_trait;
use common::port::EdgeCertificates;
use common::port::edge::{CertificateSet, Error, HostCertificate, ServedCertificates};

use super::{MemoryEdge, State};

impl MemoryEdge {
    /// The set that is served.
    pub fn certificates(&self) -> Option<CertificateSet> {
        self.state().certificates.clone()
    }
}

impl State {
    fn serve(&mut self, set: &CertificateSet) -> Result<(), Error> {
        if let Some(held) = &self.certificates {
            let (age, asked) = ((held.epoch, held.generation), (set.epoch, set.generation));
            if asked < age {
                return Err(Error::Stale { epoch: held.epoch, generation: held.generation });
            }
            if asked == age && self.certified_by.as_ref() != Some(set) {
                return Err(Error::Refused { code: "GENERATION_CONFLICT".to_owned() });
            }
        }
        let mut hosts = BTreeSet::new();
        let is_fit = set.certificates.iter().all(|one| {
            hosts.insert(&one.host)
                && one.papers.certificate.contains("-----BEGIN CERTIFICATE-----")
                && one.papers.key.contains("PRIVATE KEY-----")
        });
        if !is_fit {
            return Err(Error::Refused { code: "CERTIFICATES_INVALID".to_owned() });
        }
        let mut shown = set.clone();
        let held = self.certificates.take().unwrap_or_default().certificates;
        for kept in shown.kept.drain(..) {
            let known = held.iter().find(|one| one.host == kept.host && !hosts.contains(&one.host));
            let certificate = known.cloned();
            shown
                .certificates
                .extend(certificate.map(|one| HostCertificate { redirect: kept.redirect, ..one }));
        }
        self.certificates = Some(shown);
        self.certified_by = Some(set.clone());
        Ok(())
    }
}

#[async_trait]
impl EdgeCertificates for MemoryEdge {
    async fn serve(&self, set: &CertificateSet) -> Result<(), Error> {
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.admit()?;
        state.serve(set)?;
        state.answer(())
    }

    async fn served(&self) -> Result<ServedCertificates, Error> {
        tokio::task::yield_now().await;
        let state = self.state();
        state.admit()?;
        let served = state.certificates.as_ref().map(|set| ServedCertificates {
            epoch: set.epoch,
            generation: set.generation,
            hosts: set.certificates.iter().map(|one| one.host.clone()).collect(),
        });
        state.answer(served.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::edge_certificates::holds;

    #[tokio::test]
    async fn the_edge_in_memory_keeps_the_contract_of_certificates() {
        holds(&MemoryEdge::default()).await;
    }
}
