//! Certificates for tests that speak mutual TLS on this machine.

use std::fs;
use std::path::Path;

use anyhow::Result;
use common::service::ServiceName;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A folder with `ca.pem`, and `<service>.pem` and `<service>.key` of each service, for 127.0.0.1.
pub fn folder(services: &[ServiceName]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fill(folder.path(), services).expect("certificates can be made");
    folder
}

fn fill(folder: &Path, services: &[ServiceName]) -> Result<()> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    fs::write(folder.join("ca.pem"), parameters.self_signed(&key)?.pem())?;
    let issuer = Issuer::new(parameters, key);
    for service in services {
        let names = vec![service.to_string(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        fs::write(folder.join(format!("{service}.pem")), certificate.pem())?;
        fs::write(folder.join(format!("{service}.key")), key.serialize_pem())?;
    }
    Ok(())
}
