//! The edge's certificates, over its control socket: a key is in no file that the platform writes for it.

use async_trait::async_trait;
use common::port::EdgeCertificates;
use common::port::edge::{CertificateSet, Error, ServedCertificates};

use super::NginxEdge;

#[async_trait]
impl EdgeCertificates for NginxEdge {
    async fn serve(&self, set: &CertificateSet) -> Result<(), Error> {
        match self.control.certify(set).await? {
            Ok(()) => Ok(()),
            Err(code) if code == "STALE_GENERATION" => {
                let ServedCertificates { epoch, generation, .. } = self.served().await?;
                Err(Error::Stale { epoch, generation })
            }
            Err(code) => Err(Error::Refused { code }),
        }
    }

    async fn served(&self) -> Result<ServedCertificates, Error> {
        self.control.certificates().await
    }
}
