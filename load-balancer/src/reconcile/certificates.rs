//! The edge's certificates: read all, open their keys, give the edge the whole set if it shows another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading;
use chassis::reconcile::{Outcome, Reconcile};
use common::id::Generation;
use common::name::HostName;
use common::port::authority::Papers;
use common::port::edge::{self, CertificateSet, HostCertificate, ServedCertificates};

use super::Single;
use crate::records::{Certificate, certificates, routes};
use crate::seal::{self, Seal};
use crate::shared::Shared;

/// How often the edge is asked whether it still shows what it was given.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why the edge does not have the set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the edge does not take the certificates")]
    Edge(#[from] edge::Error),
    #[error("the certificates cannot be read")]
    Records(#[from] leading::Error),
    #[error("no key can be opened")]
    Seal(#[from] seal::Error),
}

/// Keeps what the edge shows equal to the records.
#[derive(Debug)]
pub(crate) struct CertificateReconciler {
    shared: Arc<Shared>,
    last: Mutex<Last>,
}

/// What this start has given the edge so far.
#[derive(Debug, Default)]
struct Last {
    /// The generation that was offered last, taken or not.
    offered: Generation,
    /// What the edge is known to show; forgotten when an offer fails.
    shown: Option<CertificateSet>,
    /// The counts of changes that `shown` has: of certificates, and of routes, which say who is sent to TLS.
    changes: (u64, u64),
    /// Whether there was nothing to show.
    is_nothing: bool,
    left_out: Vec<HostName>,
}

impl CertificateReconciler {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        CertificateReconciler { shared, last: Mutex::default() }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring_up_to_date(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let changes = (shared.certificate_changes(), shared.changes());
        let served = shared.ports.certificates.served().await;
        if let Ok(served) = &served
            && (self.shows_last(served) || self.shows_nothing(served))
            && self.has_seen(changes)
        {
            return Ok(());
        }
        let epoch = shared.seat.epoch().ok_or(leading::Error::NotLeading)?;
        // The store has caught up then.
        shared.seat.still_leads().await?;
        let records = certificates(&*shared.ports.store).await.map_err(leading::Error::from)?;
        let records = records.into_iter().map(|stored| stored.record).collect();
        let wanted = self.opened(records).await?;
        let is_nothing = wanted.is_empty();
        match served {
            // An edge that is older than certificates shows none, and has to.
            Err(edge::Error::Refused { .. }) if is_nothing => {}
            served => {
                let served = served?;
                // With none of the keys it is the secret that is wrong: visitors keep what they are shown.
                if is_nothing && served.hosts.iter().any(|host| self.last().left_out.contains(host))
                {
                    return Err(seal::Error::Foreign.into());
                }
                let is_new =
                    self.last().shown.as_ref().is_none_or(|set| set.certificates != wanted);
                let is_needed = !is_nothing || !served.hosts.is_empty();
                if is_needed && (is_new || !self.shows_last(&served)) {
                    self.give(CertificateSet {
                        epoch,
                        certificates: wanted,
                        ..CertificateSet::default()
                    })
                    .await?;
                }
            }
        }
        self.last().changes = changes;
        self.last().is_nothing = is_nothing;
        shared.now_certified(changes.0);
        Ok(())
    }

    fn has_seen(&self, changes: (u64, u64)) -> bool {
        self.last().changes == changes
    }

    fn shows_last(&self, served: &ServedCertificates) -> bool {
        self.last()
            .shown
            .as_ref()
            .is_some_and(|set| (served.epoch, served.generation) == (set.epoch, set.generation))
    }

    /// And should: nothing has to be given to an edge that never had any.
    fn shows_nothing(&self, served: &ServedCertificates) -> bool {
        served.hosts.is_empty() && self.last().is_nothing
    }

    async fn give(&self, mut set: CertificateSet) -> Result<(), Error> {
        {
            let mut last = self.last();
            last.shown = None;
            last.offered = last.offered.next();
            set.generation = last.offered;
        }
        self.shared.ports.certificates.serve(&set).await?;
        let count = set.certificates.len();
        tracing::info!(epoch = %set.epoch, generation = %set.generation, certificates = count, "the edge shows new certificates");
        self.shared.metrics.certificates.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.last().shown = Some(set);
        Ok(())
    }

    /// With their keys. One that cannot be opened costs that host name, and is told once.
    async fn opened(&self, records: Vec<Certificate>) -> Result<Vec<HostCertificate>, Error> {
        if records.is_empty() {
            self.shared.metrics.certificates_left_out.set(0);
            self.last().left_out.clear();
            return Ok(Vec::new());
        }
        let seal = Seal::load(&self.shared.config.seal_file)?;
        let not_redirected = self.not_redirected().await?;
        let mut left_out = Vec::new();
        let mut opened = Vec::new();
        for Certificate { told, chain, sealed_key, .. } in records {
            let host = told.host;
            match seal.open(&host, &sealed_key) {
                Ok(key) => {
                    let redirect = !not_redirected.contains(&host);
                    let papers = Papers { certificate: chain, key };
                    opened.push(HostCertificate { host, papers, redirect });
                }
                Err(err) => {
                    if !self.last().left_out.contains(&host) {
                        tracing::error!(error = &err as &dyn std::error::Error, %host, "a certificate is left out; set it again");
                    }
                    left_out.push(host);
                }
            }
        }
        let count = i64::try_from(left_out.len()).unwrap_or(i64::MAX);
        self.shared.metrics.certificates_left_out.set(count);
        self.last().left_out = left_out;
        Ok(opened)
    }

    /// Names of apps that are there without TLS as well.
    async fn not_redirected(&self) -> Result<Vec<HostName>, Error> {
        let all = routes(&*self.shared.ports.store).await.map_err(leading::Error::from)?;
        let plain = all.into_iter().filter(|stored| stored.record.edge.https.is_both());
        Ok(plain.flat_map(|stored| stored.record.edge.hosts).collect())
    }
}

#[async_trait]
impl Reconcile for CertificateReconciler {
    type Key = Single;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<Single>, Error> {
        // Each full scan reads the records again, whoever may have changed them.
        self.shared.certificates_changed();
        Ok(vec![Single])
    }

    async fn reconcile(&self, _: &Single) -> Result<Outcome, Error> {
        self.bring_up_to_date().await?;
        Ok(Outcome::Again(LOOK_EVERY))
    }
}
