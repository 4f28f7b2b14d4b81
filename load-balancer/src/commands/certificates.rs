//! Certificates of host names: set, list, remove. What is not fit to be shown is refused before anything is written.

use chassis::records::{self, Stored};
use common::failure::FailureCode;
use common::name::HostName;
use common::port::authority::Papers;
use common::port::certificates::{HostCertificate, Source};
use common::port::store::Op;
use common::record::path;
use tokio::time::Instant;

use super::{ATTEMPTS, Error};
use crate::domain::certificate::{Fit, examine};
use crate::records::{Certificate, certificate, certificates};
use crate::seal::Seal;
use crate::shared::Shared;

/// Keeps a certificate and its sealed key, and returns once the edge shows it.
pub(crate) async fn set(
    shared: &Shared,
    host: &HostName,
    papers: &Papers,
) -> Result<HostCertificate, Error> {
    let now = shared.ports.clock.now();
    let fit = examine(papers, host, now).map_err(Error::Unfit)?;
    let seal = Seal::load(&shared.config.seal_file).map_err(Error::Unsealed)?;
    let Fit { issuer, not_before, not_after, fingerprint } = fit;
    let host = host.clone();
    let (source, since) = (Source::Given, now);
    let told = HostCertificate { host, issuer, not_before, not_after, fingerprint, source, since };
    let record = Certificate {
        schema: 1,
        sealed_key: seal.seal(&told.host, &papers.key),
        chain: papers.certificate.clone(),
        told: told.clone(),
    };
    write(shared, &told.host, |standing| {
        let version = standing.map(|stored| stored.version);
        Ok(records::put(path::certificate(&told.host), &record, version))
    })
    .await?;
    tracing::info!(host = %told.host, fingerprint = told.fingerprint, not_after = %told.not_after, "a certificate was set");
    wait_until_shown(shared).await?;
    Ok(told)
}

pub(crate) async fn list(shared: &Shared) -> Result<Vec<HostCertificate>, Error> {
    let all = certificates(&*shared.ports.store).await?;
    Ok(all.into_iter().map(|stored| stored.record.told).collect())
}

/// Forgets a certificate, and returns once the edge does not show it any more.
pub(crate) async fn remove(shared: &Shared, host: &HostName) -> Result<(), Error> {
    write(shared, host, |standing| match standing {
        Some(Stored { version, .. }) => Ok(Op::Delete { path: path::certificate(host), version }),
        None => Err(Error::NoCertificate(host.clone())),
    })
    .await?;
    tracing::info!(%host, "a certificate was removed");
    wait_until_shown(shared).await
}

/// Writes over what stands, also where somebody else was faster.
async fn write(
    shared: &Shared,
    host: &HostName,
    change: impl Fn(Option<Stored<Certificate>>) -> Result<Op, Error>,
) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let standing = certificate(&*shared.ports.store, host).await?;
        match shared.seat.commit(vec![change(standing)?]).await {
            Err(err) if err.is_changed() => shared.ports.store.sync().await?,
            done => return Ok(done.map(drop)?),
        }
    }
    Err(records::Error::Changed.into())
}

async fn wait_until_shown(shared: &Shared) -> Result<(), Error> {
    let change = shared.certificates_changed();
    let deadline = Instant::now() + shared.config.confirm_within;
    let mut certified = shared.certified();
    let shown = certified.wait_for(|shown| *shown >= change);
    if let Some(Ok(_)) = shared.wait(deadline, shown).await {
        return Ok(());
    }
    let seconds = shared.config.confirm_within.as_secs();
    let message = format!("it is written down, and the edge did not take it within {seconds} s");
    Err(Error::failed(FailureCode::RouteFailed, message))
}
