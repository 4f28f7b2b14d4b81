//! The platform's certificate authority as files of this computer.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adapters::CertificateAuthorities;
use chassis::system::SystemClock;
use common::port::authority::Papers;
use common::port::{Authorities as _, Authority};
use common::service::ServiceName;

use super::write_private;

/// A certificate is renewed once half of its time is over.
const RENEW_AFTER: Duration = Duration::from_hours(365 * 24);

/// The authority of a folder.
pub(super) struct Pki {
    authority: Arc<dyn Authority>,
}

impl Pki {
    pub(super) fn load_or_make(folder: &Path) -> anyhow::Result<Self> {
        let authorities = CertificateAuthorities::new(Arc::new(SystemClock));
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        if !certificate.exists() || !key.exists() {
            let made = authorities.make()?;
            write_private(&key, made.key.as_bytes(), None)?;
            write_private(&certificate, made.certificate.as_bytes(), None)?;
        }
        let certificate = fs::read_to_string(&certificate)?;
        let papers = Papers { certificate, key: fs::read_to_string(&key)? };
        Ok(Pki { authority: authorities.open(&papers)? })
    }

    /// Makes `<service>.pem`, `<service>.key` and `ca.pem` in a folder, unless they are there, fresh and for these names.
    /// `<service>.names` says which those are; it is written last, so that it stands beside a whole set only.
    pub(super) fn issue(
        &self,
        folder: &Path,
        service: ServiceName,
        names: &[String],
        owner: Option<u32>,
    ) -> anyhow::Result<bool> {
        let certificate = folder.join(format!("{service}.pem"));
        let known = folder.join(format!("{service}.names"));
        let listed = [&[service.to_string()], names].concat().join("\n");
        let says = |file: &Path, text: &str| fs::read_to_string(file).is_ok_and(|is| is == text);
        let authority = folder.join("ca.pem");
        if is_fresh(&certificate)
            && says(&known, &listed)
            && says(&authority, self.authority.certificate())
        {
            return Ok(false);
        }
        if known.exists() {
            fs::remove_file(&known)?;
        }
        let papers = self.authority.issue(service, names)?;
        write_private(&authority, self.authority.certificate().as_bytes(), owner)?;
        write_private(&folder.join(format!("{service}.key")), papers.key.as_bytes(), owner)?;
        write_private(&certificate, papers.certificate.as_bytes(), owner)?;
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
