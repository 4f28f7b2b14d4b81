//! Certificates of a pair, and what both edges answer to a public authority: the other one takes them as the own one does.

use async_trait::async_trait;
use common::port::EdgeCertificates;
use common::port::edge::{CertificateSet, Error, ServedCertificates};
use futures::future::join;

use super::{Pair, TAKEN_WITHIN, TOLD_WITHIN, in_time};

impl Pair {
    /// Whether the other edge has all that the own one was given, or is gone. It is asked to take it.
    pub(crate) async fn certifies(&self) -> bool {
        self.certify().await.is_ok() || self.is_gone().await
    }

    async fn certify(&self) -> Result<(), Error> {
        let (given, is_silent) = {
            let known = self.known();
            if known.certificates_taken == known.certificates_given {
                return Ok(());
            }
            (known.certificates_given, known.silent_since.is_some())
        };
        let within = if is_silent { TOLD_WITHIN } else { TAKEN_WITHIN };
        in_time(within, self.other.take_certificates()).await?;
        let mut known = self.known();
        known.certificates_taken = known.certificates_taken.max(given);
        Ok(())
    }
}

#[async_trait]
impl EdgeCertificates for Pair {
    async fn serve(&self, set: &CertificateSet) -> Result<(), Error> {
        self.known().certificates_given += 1;
        let others = async {
            if self.silence().is_none()
                && let Err(err) = self.certify().await
            {
                // It looks by itself, too; and who has to know asks again.
                let error = &err as &dyn std::error::Error;
                tracing::warn!(error, "the other edge does not take the certificates");
            }
        };
        let (served, ()) = join(self.certificates.serve(set), others).await;
        served
    }

    async fn served(&self) -> Result<ServedCertificates, Error> {
        self.certificates.served().await
    }
}
