//! [`CertificateAuthorities`]: the platform's certificate authority, by rcgen.
//!
//! A certificate's key is derived from the authority's own and from what the certificate is for, and Ed25519 signs
//! without chance: so whoever holds the authority makes the very same papers, and nobody has to keep them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::port::authority::{Error, Papers};
use common::port::{Authorities, Authority, Cause, Clock};
use common::service::ServiceName;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use sha2::{Digest as _, Sha256};

const AUTHORITY_YEARS: i16 = 10;
/// Papers are renewed after one such period and hold for two, so that no machine is late.
const PERIOD_DAYS: i64 = 365;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Makes authorities.
#[derive(Debug, Clone)]
pub struct CertificateAuthorities {
    clock: Arc<dyn Clock>,
}

impl CertificateAuthorities {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        CertificateAuthorities { clock }
    }
}

impl Authorities for CertificateAuthorities {
    fn make(&self) -> Result<Papers, Error> {
        made(self.clock.now()).map_err(Error::Unusable)
    }

    fn open(&self, papers: &Papers) -> Result<Arc<dyn Authority>, Error> {
        let key = KeyPair::from_pem(&papers.key).map_err(|err| Error::Unusable(err.into()))?;
        let parameters = authority_parameters().map_err(Error::Unusable)?;
        Ok(Arc::new(CertificateAuthority {
            certificate: papers.certificate.clone(),
            secret: Sha256::digest(&papers.key).into(),
            issuer: Issuer::new(parameters, key),
            clock: Arc::clone(&self.clock),
        }))
    }
}

/// Signs certificates.
struct CertificateAuthority {
    certificate: String,
    /// What the keys of certificates are derived from.
    secret: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority").finish_non_exhaustive()
    }
}

impl Authority for CertificateAuthority {
    fn certificate(&self) -> &str {
        &self.certificate
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, Error> {
        self.signed(service, names).map_err(|source| Error::Failed { service, source })
    }
}

impl CertificateAuthority {
    fn signed(&self, service: ServiceName, names: &[String]) -> Result<Papers, Cause> {
        let mut valid_for = vec![service.to_string()];
        valid_for.extend(names.iter().cloned());
        let purpose = valid_for.join("\n");
        let from = first_day(self.clock.now(), &Sha256::digest(&purpose))?;
        let mut seed = Sha256::new();
        for word in [&self.secret[..], purpose.as_bytes(), from.to_string().as_bytes()] {
            seed.update(u64::try_from(word.len())?.to_be_bytes());
            seed.update(word);
        }
        let (key, pem) = key_of(&seed.finalize())?;
        let mut parameters = CertificateParams::new(valid_for)?;
        parameters.distinguished_name.push(DnType::CommonName, service.as_str());
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let until = from.checked_add(Span::new().days(2 * PERIOD_DAYS))?;
        limit(&mut parameters, from.yesterday()?, until)?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Papers { certificate: certificate.pem(), key: pem })
    }
}

/// The first day of the period that a moment is in. Periods of different purposes begin on different days: never are
/// all certificates renewed at once.
fn first_day(now: Timestamp, purpose: &[u8]) -> Result<Date, Cause> {
    let shift = purpose.iter().take(4).fold(0, |sum, byte| sum * 256 + i64::from(*byte));
    let today = now.as_second().div_euclid(DAY_SECONDS) + shift % PERIOD_DAYS;
    let first = today - today.rem_euclid(PERIOD_DAYS) - shift % PERIOD_DAYS;
    let moment = Timestamp::from_second(first * DAY_SECONDS)?;
    Ok(moment.to_zoned(TimeZone::UTC).date())
}

/// A key by its seed, also as PEM in the oldest form, which every program reads.
fn key_of(seed: &[u8]) -> Result<(KeyPair, String), Cause> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)?;
    let document = pair.to_pkcs8v1()?;
    let encoded = STANDARD.encode(document.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
    Ok((KeyPair::from_pem(&pem)?, pem))
}

fn authority_parameters() -> Result<CertificateParams, Cause> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.distinguished_name.push(DnType::CommonName, "avishkar platform CA");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(parameters)
}

fn made(now: Timestamp) -> Result<Papers, Cause> {
    let mut seed = [0; 32];
    rand::fill(&mut seed)?;
    let (key, pem) = key_of(&seed)?;
    let mut parameters = authority_parameters()?;
    let today = now.to_zoned(TimeZone::UTC).date();
    // From yesterday, so that a clock a little behind accepts it.
    let until = today.checked_add(Span::new().years(AUTHORITY_YEARS))?;
    limit(&mut parameters, today.yesterday()?, until)?;
    Ok(Papers { certificate: parameters.self_signed(&key)?.pem(), key: pem })
}

fn limit(parameters: &mut CertificateParams, from: Date, until: Date) -> Result<(), Cause> {
    let moment = |date: Date| -> Result<_, Cause> {
        let (month, day) = (u8::try_from(date.month())?, u8::try_from(date.day())?);
        Ok(rcgen::date_time_ymd(date.year().into(), month, day))
    };
    parameters.not_before = moment(from)?;
    parameters.not_after = moment(until)?;
    Ok(())
}

#[cfg(test)]
mod tests;
