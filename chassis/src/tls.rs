//! Mutual TLS between the services: each holds a certificate of the platform's CA in its own name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::service::ServiceName;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not the PEM file it should be")]
    Pem {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("the certificates do not fit together")]
    Certificates(#[source] rustls::Error),
    #[error("the platform's CA cannot verify clients")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// A service's certificate, its key and the CA it trusts, as PEM.
#[derive(Clone)]
pub struct Identity {
    pub ca: Vec<u8>,
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    folder: PathBuf,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Makes aws-lc-rs the one cryptography of the process. Call first in every `main` and test.
pub fn install_cryptography() {
    // A second call finds the same provider installed already: that is what is wanted.
    drop(aws_lc_rs::default_provider().install_default());
}

impl Identity {
    /// Reads `ca.pem`, `<service>.pem` and `<service>.key` from a folder.
    pub fn load(folder: &Path, service: ServiceName) -> Result<Self, Error> {
        let read = |name: String| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| Error::Read { path, source })
        };
        Ok(Identity {
            ca: read("ca.pem".to_owned())?,
            certificate: read(format!("{service}.pem"))?,
            key: read(format!("{service}.key"))?,
            folder: folder.to_owned(),
        })
    }

    /// Certificate and key in one PEM, as HTTP clients take them.
    pub fn client_pem(&self) -> Vec<u8> {
        [self.certificate.as_slice(), b"\n", self.key.as_slice()].concat()
    }

    /// A server that accepts only clients with a certificate of the platform's CA.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, Error> {
        let pem = |source| Error::Pem { path: self.folder.clone(), source };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.ca) {
            roots.add(certificate.map_err(pem)?).map_err(Error::Certificates)?;
        }
        let verifier =
            WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(Error::Verifier)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(pem)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(pem)?;
        ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(Error::Certificates)
    }
}
