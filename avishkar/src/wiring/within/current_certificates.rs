//! [`CurrentCertificates`]: those of the load balancer of the process, also after it was begun anew.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::name::HostName;
use common::port::Certificates;
use common::port::authority::Papers;
use common::port::certificates::{Error, HostCertificate, Listed};

/// The certificates of the load balancer that was made last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentCertificates(Arc<Mutex<Option<Arc<dyn Certificates>>>>);

impl CurrentCertificates {
    /// From now on these are asked.
    pub(crate) fn are(&self, certificates: Arc<dyn Certificates>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificates);
    }

    fn now(&self) -> Result<Arc<dyn Certificates>, Error> {
        let certificates = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        certificates.ok_or_else(|| Error::Unavailable("the load balancer is not made yet".into()))
    }
}

#[async_trait]
impl Certificates for CurrentCertificates {
    async fn set(&self, host: &HostName, papers: &Papers) -> Result<HostCertificate, Error> {
        self.now()?.set(host, papers).await
    }

    async fn list(&self) -> Result<Listed, Error> {
        self.now()?.list().await
    }

    async fn remove(&self, host: &HostName) -> Result<(), Error> {
        self.now()?.remove(host).await
    }
}
