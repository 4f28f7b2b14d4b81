//! What a certificate and its key must be before a visitor is shown them: whole, open, of one pair, for the host name,
//! of today, in order. Reads what is given; keeps and signs nothing.

use common::digest::hex;
use common::name::HostName;
use common::port::authority::Papers;
use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};
use sha2::{Digest as _, Sha256};
use webpki::EndEntityCert;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::{ASN1Time, X509Certificate};

/// More is no chain.
const MOST_CERTIFICATES: usize = 10;

/// Why a certificate is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the certificate is not a chain of PEM certificates: {0}")]
    Malformed(String),
    #[error("the key is no private key in PEM that can sign")]
    KeyMalformed,
    #[error("the key is encrypted; give it without a pass phrase")]
    KeyEncrypted,
    #[error("the key is not the certificate's")]
    KeyMismatch,
    #[error("the certificate is valid for {}, not for {host}", listed(.names))]
    NameMismatch { host: HostName, names: Vec<String> },
    #[error("the certificate expired at {0}")]
    Expired(Timestamp),
    #[error("the certificate is not valid before {0}")]
    NotYetValid(Timestamp),
    #[error(
        "certificate {place} of the chain did not sign the one before it; give the host's own first, then who signed it"
    )]
    ChainOrder { place: usize },
}

impl Unfit {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Unfit::Malformed(_) => "CERTIFICATE_MALFORMED",
            Unfit::KeyMalformed => "CERTIFICATE_KEY_MALFORMED",
            Unfit::KeyEncrypted => "CERTIFICATE_KEY_ENCRYPTED",
            Unfit::KeyMismatch => "CERTIFICATE_KEY_MISMATCH",
            Unfit::NameMismatch { .. } => "CERTIFICATE_NAME_MISMATCH",
            Unfit::Expired(_) => "CERTIFICATE_EXPIRED",
            Unfit::NotYetValid(_) => "CERTIFICATE_NOT_YET_VALID",
            Unfit::ChainOrder { .. } => "CERTIFICATE_CHAIN_ORDER",
        }
    }
}

/// What was read of a certificate that is fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fit {
    pub(crate) issuer: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) fingerprint: String,
}

/// Whether visitors of a host name can be shown these papers at a moment.
pub(crate) fn examine(papers: &Papers, host: &HostName, now: Timestamp) -> Result<Fit, Unfit> {
    let chain = read_chain(&papers.certificate)?;
    let parsed = parse_all(&chain)?;
    let (Some(first), Some(own)) = (chain.first(), parsed.first()) else {
        return Err(malformed("there is no certificate in it"));
    };
    let key = read_key(&papers.key)?;
    check_name(first, host)?;
    let fit = Fit {
        issuer: own.issuer().to_string(),
        not_before: moment(&own.validity().not_before)?,
        not_after: moment(&own.validity().not_after)?,
        fingerprint: hex(&Sha256::digest(first)),
    };
    if now > fit.not_after {
        return Err(Unfit::Expired(fit.not_after));
    }
    if now < fit.not_before {
        return Err(Unfit::NotYetValid(fit.not_before));
    }
    check_order(&parsed)?;
    check_pair(chain, key)?;
    Ok(fit)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no host name".to_owned() } else { names.join(", ") }
}

fn malformed(why: impl Into<String>) -> Unfit {
    Unfit::Malformed(why.into())
}

fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|_| malformed("a block of it is not whole"))?;
    if chain.is_empty() {
        return Err(malformed("there is no certificate in it"));
    }
    if chain.len() > MOST_CERTIFICATES {
        return Err(malformed(format!("there are more than {MOST_CERTIFICATES} in it")));
    }
    Ok(chain)
}

fn parse_all<'a>(chain: &'a [CertificateDer<'static>]) -> Result<Vec<X509Certificate<'a>>, Unfit> {
    let parsed = chain.iter().enumerate().map(|(index, der)| match parse_x509_certificate(der) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) | Err(_) => Err(malformed(format!("number {} cannot be read", index + 1))),
    });
    parsed.collect()
}

fn read_key(pem: &str) -> Result<PrivateKeyDer<'static>, Unfit> {
    // Of all forms: PKCS #8 says so in its label, the older ones in a header.
    if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Unfit::KeyEncrypted);
    }
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| Unfit::KeyMalformed)
}

/// As browsers do: the common name says nothing.
fn check_name(first: &CertificateDer<'_>, host: &HostName) -> Result<(), Unfit> {
    let own = EndEntityCert::try_from(first).map_err(|err| malformed(err.to_string()))?;
    let name = ServerName::try_from(host.as_str()).map_err(|err| malformed(err.to_string()))?;
    own.verify_is_valid_for_subject_name(&name).map_err(|_| Unfit::NameMismatch {
        host: host.clone(),
        names: own.valid_dns_names().take(8).map(str::to_owned).collect(),
    })
}

fn moment(time: &ASN1Time) -> Result<Timestamp, Unfit> {
    Timestamp::from_second(time.timestamp()).map_err(|_| malformed("its dates are no dates"))
}

fn check_order(chain: &[X509Certificate<'_>]) -> Result<(), Unfit> {
    let pairs = chain.iter().zip(chain.iter().skip(1));
    let mut signed = pairs.map(|(one, next)| one.issuer().as_raw() == next.subject().as_raw());
    match signed.position(|is_signed| !is_signed) {
        Some(index) => Err(Unfit::ChainOrder { place: index + 2 }),
        None => Ok(()),
    }
}

fn check_pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<(), Unfit> {
    match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(_) => Ok(()),
        Err(TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Unfit::KeyMismatch),
        Err(_) => Err(Unfit::KeyMalformed),
    }
}

#[cfg(test)]
mod tests;
