//! Certificates of host names: set, list, remove. What is not fit to be shown is refused before anything is written.

use std::time::Duration;

use chassis::records::{self, Stored};
use common::failure::FailureCode;
use common::name::HostName;
use common::port::authority::Papers;
use common::port::certificates::{HostCertificate, HostOrder, Listed, Source};
use common::port::store::Op;
use common::record::path;
use tokio::time::{Instant, sleep};

use super::{ATTEMPTS, Error};
use crate::domain::certificate::{Fit, examine};
use crate::records::{Certificate, Order, certificate, certificates, orders};
use crate::seal::Seal;
use crate::shared::Shared;

/// How often the other edge of a pair is asked to take what an authority asks for.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Keeps a certificate that somebody gave, and its sealed key; returns once the edge shows it.
pub(crate) async fn set(
    shared: &Shared,
    host: &HostName,
    papers: &Papers,
) -> Result<HostCertificate, Error> {
    let record = record(shared, host, papers, Source::Given)?;
    write(shared, host, |standing| {
        let version = standing.map(|stored| stored.version);
        Ok(records::put(path::certificate(host), &record, version))
    })
    .await?;
    note(&record.told);
    shared.order_wake.wake(host.clone());
    wait_until_shown(shared).await?;
    Ok(record.told)
}

/// What is written of a certificate, if it is fit to be shown.
pub(crate) fn record(
    shared: &Shared,
    host: &HostName,
    papers: &Papers,
    source: Source,
) -> Result<Certificate, Error> {
    let now = shared.ports.clock.now();
    let fit = examine(papers, host, now).map_err(Error::Unfit)?;
    let seal = Seal::load(&shared.config.seal_file).map_err(Error::Unsealed)?;
    let Fit { issuer, not_before, not_after, fingerprint } = fit;
    let (host, since) = (host.clone(), now);
    let told = HostCertificate { host, issuer, not_before, not_after, fingerprint, source, since };
    let directory = match source {
        Source::Given => None,
        Source::Ordered => shared.ports.authority.as_ref().map(|one| one.directory().to_owned()),
    };
    Ok(Certificate {
        schema: 1,
        sealed_key: seal.seal(told.host.as_str(), &papers.key),
        chain: papers.certificate.clone(),
        told,
        directory,
    })
}

pub(crate) fn note(told: &HostCertificate) {
    tracing::info!(host = %told.host, fingerprint = told.fingerprint, not_after = %told.not_after, "a certificate was set");
}

pub(crate) async fn list(shared: &Shared) -> Result<Listed, Error> {
    let store = &*shared.ports.store;
    let (all, orders) = (certificates(store).await?, orders(store).await?);
    let orders = orders.into_iter().map(|stored| stored.record);
    let is_pending = |order: &Order| order.placed.is_some() || order.failed.is_some();
    let pending = orders.filter(|order| !order.rests && is_pending(order));
    Ok(Listed {
        certificates: all.into_iter().map(|stored| stored.record.told).collect(),
        orders: pending.map(|Order { host, failed, .. }| HostOrder { host, failed }).collect(),
    })
}

/// Forgets a certificate, and returns once the edge does not show it any more.
pub(crate) async fn remove(shared: &Shared, host: &HostName) -> Result<(), Error> {
    write(shared, host, |standing| match standing {
        Some(Stored { version, .. }) => Ok(Op::Delete { path: path::certificate(host), version }),
        None => Err(Error::NoCertificate(host.clone())),
    })
    .await?;
    tracing::info!(%host, "a certificate was removed");
    shared.order_wake.wake(host.clone());
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

/// Returns once the edge has all that was written so far, certificates and answers to challenges.
pub(crate) async fn wait_until_shown(shared: &Shared) -> Result<(), Error> {
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

/// The same of both edges where there is a pair, unless the other one is gone: the authority may meet either.
pub(crate) async fn wait_until_all_show(shared: &Shared) -> Result<(), Error> {
    wait_until_shown(shared).await?;
    let Some(pair) = &shared.pair else { return Ok(()) };
    let deadline = Instant::now() + shared.config.confirm_within;
    let taken = async {
        while !pair.certifies().await {
            sleep(ASK_EVERY).await;
        }
    };
    let message = "the other edge of the pair does not take it";
    let taken = shared.wait(deadline, taken).await;
    taken.ok_or_else(|| Error::failed(FailureCode::RouteFailed, message))
}
