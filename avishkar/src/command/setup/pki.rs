//! The platform's certificate authority.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use chassis::system::SystemClock;
use common::port::Clock as _;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::write_private;

const AUTHORITY_YEARS: i16 = 10;
const CERTIFICATE_YEARS: i16 = 2;
/// A certificate is renewed once half of its time is over.
const RENEW_AFTER: Duration = Duration::from_hours(365 * 24);

/// Signs certificates.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn load_or_make(folder: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        if !certificate.exists() || !key.exists() {
            make(&certificate, &key)?;
        }
        let certificate = fs::read_to_string(&certificate)?;
        let key = KeyPair::from_pem(&fs::read_to_string(&key)?)
            .context("the CA's key is not readable")?;
        Ok(Authority { certificate, issuer: Issuer::new(parameters()?, key) })
    }

    /// Makes `<name>.pem`, `<name>.key` and `ca.pem` in a folder, unless they are there, fresh and for these names.
    /// `<name>.names` says which those are; it is written last, so that it stands beside a whole set only.
    pub(super) fn issue(
        &self,
        folder: &Path,
        name: &str,
        names: Vec<String>,
        owner: Option<u32>,
    ) -> anyhow::Result<bool> {
        let certificate = folder.join(format!("{name}.pem"));
        let known = folder.join(format!("{name}.names"));
        let listed = names.join("\n");
        let says = |file: &Path, text: &str| fs::read_to_string(file).is_ok_and(|is| is == text);
        if is_fresh(&certificate)
            && says(&known, &listed)
            && says(&folder.join("ca.pem"), &self.certificate)
        {
            return Ok(false);
        }
        if known.exists() {
            fs::remove_file(&known)?;
        }
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        valid_for(&mut parameters, CERTIFICATE_YEARS)?;
        let key = KeyPair::generate()?;
        let signed = parameters.signed_by(&key, &self.issuer)?;
        write_private(&folder.join("ca.pem"), self.certificate.as_bytes(), owner)?;
        write_private(&folder.join(format!("{name}.key")), key.serialize_pem().as_bytes(), owner)?;
        write_private(&certificate, signed.pem().as_bytes(), owner)?;
        write_private(&known, listed.as_bytes(), owner)?;
        Ok(true)
    }
}

fn is_fresh(certificate: &Path) -> bool {
    let age = fs::metadata(certificate)
        .and_then(|about| about.modified())
        .ok()
        .and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age < RENEW_AFTER)
}

fn parameters() -> anyhow::Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.distinguished_name.push(DnType::CommonName, "avishkar platform CA");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(parameters)
}

fn make(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    let mut parameters = parameters()?;
    valid_for(&mut parameters, AUTHORITY_YEARS)?;
    let pair = KeyPair::generate()?;
    let signed = parameters.self_signed(&pair)?;
    write_private(key, pair.serialize_pem().as_bytes(), None)?;
    write_private(certificate, signed.pem().as_bytes(), None)
}

/// From yesterday, so that a clock a little behind accepts it, for so many years.
fn valid_for(parameters: &mut CertificateParams, years: i16) -> anyhow::Result<()> {
    let now: Timestamp = SystemClock.now();
    let today = now.to_zoned(TimeZone::UTC).date();
    let from = today.yesterday()?;
    let until = from.saturating_add(jiff::Span::new().years(years));
    let moment = |date: Date| -> anyhow::Result<_> {
        // The 29th to 31st do not exist in every year that one may arrive at.
        let (month, day) = (u8::try_from(date.month())?, u8::try_from(date.day().min(28))?);
        Ok(rcgen::date_time_ymd(date.year().into(), month, day))
    };
    parameters.not_before = moment(from)?;
    parameters.not_after = moment(until)?;
    Ok(())
}
