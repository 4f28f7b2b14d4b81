//! Certificates are the business of who runs this nginx: none is taken, and none is shown.

use async_trait::async_trait;
use common::port::EdgeCertificates;
use common::port::edge::{CertificateSet, Error, ServedCertificates};

use super::FilesEdge;

fn refused() -> Error {
    Error::Refused { code: "LB_NO_CERTIFICATES".to_owned() }
}

#[async_trait]
impl EdgeCertificates for FilesEdge {
    async fn serve(&self, _: &CertificateSet) -> Result<(), Error> {
        Err(refused())
    }

    async fn served(&self) -> Result<ServedCertificates, Error> {
        Err(refused())
    }
}
