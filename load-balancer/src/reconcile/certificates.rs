//! The edge's certificates, and its answers to a public authority: read all, open the keys, give the edge the whole set if it
//! has another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading;
use chassis::reconcile::{Outcome, Reconcile};
use common::id::Generation;
use common::name::HostName;
use common::port::EdgeCertificates;
use common::port::authority::Papers;
use common::port::edge::{
    self, CertificateSet, Challenge, HostCertificate, KeptCertificate, ServedCertificates,
};

use super::Single;
use crate::records::{Certificate, certificates, orders, routes};
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
    /// Of the own edge, or for who leads of both of a pair.
    edge: Arc<dyn EdgeCertificates>,
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
    pub(crate) fn new(shared: Arc<Shared>, edge: Arc<dyn EdgeCertificates>) -> Self {
        CertificateReconciler { shared, edge, last: Mutex::default() }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring_up_to_date(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let changes = (shared.certificate_changes(), shared.changes());
        let served = self.edge.served().await;
        if let Ok(served) = &served
            && (self.shows_last(served) || self.shows_nothing(served))
            && self.has_seen(changes)
        {
            return Ok(());
        }
        let epoch = shared.edge_epoch().await?;
        let records = certificates(&*shared.ports.store).await.map_err(leading::Error::from)?;
        let records = records.into_iter().map(|stored| stored.record).collect();
        let challenges = challenges(shared).await?;
        let wanted = CertificateSet { challenges, ..self.opened(records).await? };
        let is_nothing = wanted == CertificateSet::default();
        match served {
            // An edge that is older than certificates shows none, and has to.
            Err(edge::Error::Refused { .. }) if is_nothing => {}
            served => {
                let served = served?;
                if served.epoch == epoch {
                    // Who follows may have given it one under this epoch before it was started again.
                    let mut last = self.last();
                    last.offered = last.offered.max(served.generation);
                }
                let is_other = |set: &CertificateSet| {
                    let CertificateSet { epoch, generation, .. } = *set;
                    *set != CertificateSet { epoch, generation, ..wanted.clone() }
                };
                let is_new = self.last().shown.as_ref().is_none_or(is_other);
                let is_needed = !is_nothing || !served.hosts.is_empty() || self.has_answered();
                if is_needed && (is_new || !self.shows_last(&served)) {
                    self.give(CertificateSet { epoch, ..wanted }).await?;
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

    /// Whether it answers challenges.
    fn has_answered(&self) -> bool {
        self.last().shown.as_ref().is_some_and(|set| !set.challenges.is_empty())
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
        self.edge.serve(&set).await?;
        let count = set.certificates.len() + set.kept.len();
        tracing::info!(epoch = %set.epoch, generation = %set.generation, certificates = count, "the edge shows new certificates");
        self.shared.metrics.certificates.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.last().shown = Some(set);
        Ok(())
    }

    /// With their keys. Visitors of a name whose key cannot be opened are shown on what they are, and it is told once.
    async fn opened(&self, records: Vec<Certificate>) -> Result<CertificateSet, Error> {
        let mut set = CertificateSet::default();
        if records.is_empty() {
            self.shared.metrics.certificates_left_out.set(0);
            self.last().left_out.clear();
            return Ok(set);
        }
        let seal = Seal::load(&self.shared.config.seal_file)?;
        let not_redirected = self.not_redirected().await?;
        for Certificate { told, chain, sealed_key, .. } in records {
            let host = told.host;
            let redirect = !not_redirected.contains(&host);
            match seal.open(host.as_str(), &sealed_key) {
                Ok(key) => {
                    let papers = Papers { certificate: chain, key };
                    set.certificates.push(HostCertificate { host, papers, redirect });
                }
                Err(err) => {
                    if !self.last().left_out.contains(&host) {
                        tracing::error!(error = &err as &dyn std::error::Error, %host, "a certificate's key cannot be opened; set it again");
                    }
                    set.kept.push(KeptCertificate { host, redirect });
                }
            }
        }
        let left_out: Vec<HostName> = set.kept.iter().map(|one| one.host.clone()).collect();
        let count = i64::try_from(left_out.len()).unwrap_or(i64::MAX);
        self.shared.metrics.certificates_left_out.set(count);
        self.last().left_out = left_out;
        Ok(set)
    }

    /// Names of apps that are there without TLS as well.
    async fn not_redirected(&self) -> Result<Vec<HostName>, Error> {
        let all = routes(&self.shared).await.map_err(leading::Error::from)?;
        let plain = all.values().filter(|stored| stored.record.edge.https.is_both());
        Ok(plain.flat_map(|stored| stored.record.edge.hosts.iter().cloned()).collect())
    }
}

/// What is answered to the public authority while orders are under way.
async fn challenges(shared: &Shared) -> Result<Vec<Challenge>, Error> {
    let all = orders(&*shared.ports.store).await.map_err(leading::Error::from)?;
    let placed = all.into_iter().filter_map(|stored| stored.record.placed);
    Ok(placed.flat_map(|placed| placed.challenges).collect())
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
