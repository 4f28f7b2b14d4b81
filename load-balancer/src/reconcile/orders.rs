//! Certificates that nobody gave: of each host name of an app, asked of a public authority when it has none, or when two
//! thirds of its time are over.
//!
//! What is under way stands in the order's record, so that whoever leads next goes on from there. A certificate is written
//! over by a better one; taken away is only one that has expired and that no app asks for any more.

mod account;
mod ends;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::reconcile::{Outcome, Reconcile};
use chassis::records::{self, Stored};
use chassis::{leading, owed};
use common::name::HostName;
use common::port::PublicAuthority;
use common::port::authority::Papers;
use common::port::certificates::Source;
use common::port::edge::Challenge;
use common::port::public_authority::{self, Account, Progress};
use common::port::store::{Op, Version};
use common::record::path;
use common::record::route::RouteGoal;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::commands::{self, certificates as keep};
use crate::domain::renewal::{due_at, is_public};
use crate::records::{
    Certificate, Order, Placed, certificate, certificates, order, orders, routes,
};
use crate::seal::Seal;
use crate::shared::Shared;

/// Whatever is to come, a name is looked at again after so long.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How soon what the authority was told to do is looked at.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// An order that is under way for longer goes nowhere.
const MADE_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// How soon an order is looked at whose challenges stay what they were: some authorities ask without saying so.
const ASKS_FOR: Duration = Duration::from_secs(2);
/// Told again that it can ask, an authority begins anew: only where it may not have heard.
const TOLD_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// Whatever an authority says, it is asked no sooner.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// How soon it is tried again to publish what is owed.
const TELL_AGAIN: Duration = Duration::from_secs(15);

/// Why an order did not get further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Command(#[from] commands::Error),
    #[error("the public authority made no certificate")]
    Authority(#[from] public_authority::Error),
    #[error("the public authority did not finish an order within an hour")]
    Endless,
}

impl From<leading::Error> for Error {
    fn from(err: leading::Error) -> Self {
        Error::Command(err.into())
    }
}

impl From<records::Error> for Error {
    fn from(err: records::Error) -> Self {
        Error::Command(err.into())
    }
}

/// Asks for certificates.
#[derive(Debug)]
pub(crate) struct OrderReconciler {
    shared: Arc<Shared>,
    /// The host names of apps, as the last scan found them; none before the first.
    wanted: Mutex<Option<BTreeSet<HostName>>>,
    /// Before these moments the authority does not want to be asked about an order, however often it is looked at here.
    not_before: Mutex<BTreeMap<HostName, Instant>>,
    /// Held while an account is looked for, and made.
    registering: AsyncMutex<()>,
}

/// What stands in the store of a host name's order.
struct Standing {
    order: Order,
    version: Option<Version>,
}

impl OrderReconciler {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        OrderReconciler {
            shared,
            wanted: Mutex::default(),
            not_before: Mutex::default(),
            registering: AsyncMutex::default(),
        }
    }

    /// Whether an app has the host name; none where that is not known yet.
    fn is_wanted(&self, host: &HostName) -> Option<bool> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        Some(wanted.as_ref()?.contains(host))
    }

    fn now(&self) -> Timestamp {
        self.shared.ports.clock.now()
    }

    async fn look_after(
        &self,
        authority: &dyn PublicAuthority,
        host: &HostName,
    ) -> Result<Outcome, Error> {
        let store = &*self.shared.ports.store;
        let Some(is_wanted) = self.is_wanted(host) else { return Ok(Outcome::Again(LOOK_SOON)) };
        let (mut order, version) = match order(store, host).await? {
            Some(Stored { record, version }) => (record, Some(version)),
            None => (Order::new(host.clone()), None),
        };
        if !order.owed.is_empty() {
            match owed::publish(&*self.shared.ports.bus, &order.owed).await {
                Ok(()) => return self.told(Standing { order, version }).await,
                // An order does not wait for whoever is told of it.
                Err(err) => {
                    tracing::warn!(error = &err as &dyn std::error::Error, %host, "what is owed of an order cannot be told");
                }
            }
        }
        let is_owing = !order.owed.is_empty();
        // What another authority said does not count at this one.
        if order.failed_at.as_deref().is_some_and(|failed_at| failed_at != authority.directory()) {
            order.failed = None;
        }
        let done = self.go_on(authority, Standing { order, version }, is_wanted).await?;
        Ok(match done {
            Outcome::Again(wait) if is_owing => Outcome::Again(wait.min(TELL_AGAIN)),
            Outcome::Settled if is_owing => Outcome::Again(TELL_AGAIN),
            Outcome::Again(_) | Outcome::Settled => done,
        })
    }

    async fn go_on(
        &self,
        authority: &dyn PublicAuthority,
        mut standing: Standing,
        is_wanted: bool,
    ) -> Result<Outcome, Error> {
        let host = standing.order.host.clone();
        let shown = certificate(&*self.shared.ports.store, &host).await?;
        if !is_wanted {
            self.clear_away(shown).await?;
            return self.rest(standing, Outcome::Settled).await;
        }
        match shown.as_ref().map(|shown| self.due(authority, &host, &shown.record)) {
            Some(Due::Never) => return self.rest(standing, Outcome::Settled).await,
            Some(Due::At(due)) if self.now() < due => {
                return self.rest(standing, Outcome::Again(self.until(due))).await;
            }
            Some(Due::At(_)) | None => {}
        }
        if standing.order.rests {
            standing.order.rests = false;
            self.write(&standing.order, standing.version).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        }
        if let Some(next_try) = self.next_try(&standing.order) {
            return Ok(Outcome::Again(self.until(next_try)));
        }
        if let Some(wait) = self.still_works(&host) {
            return Ok(Outcome::Again(wait));
        }
        let shown = shown.map(|shown| shown.version);
        let mut used = None;
        match self.advance(authority, standing, shown, &mut used).await {
            Err(Error::Command(err)) if err.is_changed() => Ok(Outcome::Again(Duration::ZERO)),
            Err(err) => self.note(authority, &host, err, used).await,
            done => done,
        }
    }

    /// When it is tried again, if that is to come.
    fn next_try(&self, order: &Order) -> Option<Timestamp> {
        order.failed.as_ref().map(|failed| failed.next_try).filter(|next| *next > self.now())
    }

    /// For how long the authority does not want to be asked; scans and wakes do not know of that.
    fn still_works(&self, host: &HostName) -> Option<Duration> {
        let mut waits = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        waits.retain(|_, moment| *moment > now);
        waits.get(host).map(|moment| moment.duration_since(now))
    }

    fn works(&self, host: &HostName, again: Duration) -> Outcome {
        let again = again.max(FIRST_LOOK);
        let mut waits = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        waits.insert(host.clone(), Instant::now() + again);
        Outcome::Again(again)
    }

    fn due(
        &self,
        authority: &dyn PublicAuthority,
        host: &HostName,
        Certificate { told, directory, .. }: &Certificate,
    ) -> Due {
        match told.source {
            Source::Given => Due::Never,
            // As where somebody tried another authority first.
            Source::Ordered if directory.as_deref() != Some(authority.directory()) => {
                Due::At(self.now())
            }
            Source::Ordered => Due::At(due_at(host, told.not_before, told.not_after)),
        }
    }

    /// One step of an order. `shown` is the version of the certificate that it is to replace, `used` that of the account.
    async fn advance(
        &self,
        authority: &dyn PublicAuthority,
        Standing { mut order, version }: Standing,
        shown: Option<Version>,
        used: &mut Option<Version>,
    ) -> Result<Outcome, Error> {
        let seal = Seal::load(&self.shared.config.seal_file).map_err(commands::Error::Unsealed)?;
        let known = self.account(authority, &seal).await?;
        *used = known.version;
        let account = known.account;
        let placed = order.placed.take().filter(|one| one.directory == authority.directory());
        let opened = placed.and_then(|placed| {
            let key = seal.open(&purpose(&order.host), &placed.sealed_key).ok()?;
            Some((public_authority::Order { url: placed.url.clone(), key }, placed))
        });
        let Some((at, placed)) = opened else {
            let made = authority.order(&account, &order.host).await?;
            order.placed = Some(Placed {
                directory: authority.directory().to_owned(),
                url: made.url,
                sealed_key: seal.seal(&purpose(&order.host), &made.key),
                challenges: Vec::new(),
                answered_at: None,
                since: self.now(),
            });
            self.write(&order, version).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        };
        let progress = authority.look(&account, &at).await?;
        let is_under_way = matches!(progress, Progress::Works(_) | Progress::Asks(_));
        if is_under_way && self.now().duration_since(placed.since) > MADE_WITHIN {
            return Err(Error::Endless);
        }
        match progress {
            Progress::Made(chain) => {
                let papers = Papers { certificate: chain, key: at.key };
                self.keep(order, &papers, version, shown).await
            }
            Progress::Works(again) => Ok(self.works(&order.host, again)),
            Progress::Ready => {
                authority.sign(&account, &order.host, &at).await?;
                Ok(Outcome::Again(LOOK_SOON))
            }
            Progress::Asks(challenges) => {
                order.placed = Some(placed);
                let standing = Standing { order, version };
                self.answer(authority, (&account, &at), standing, challenges).await
            }
        }
    }

    /// Tells the authority that it can ask, once for each set of challenges: it may ask for a while without saying so.
    async fn answer(
        &self,
        authority: &dyn PublicAuthority,
        (account, at): (&Account, &public_authority::Order),
        Standing { mut order, version }: Standing,
        challenges: Vec<Challenge>,
    ) -> Result<Outcome, Error> {
        let Some(placed) = order.placed.as_mut() else { return Ok(Outcome::Again(LOOK_SOON)) };
        if placed.challenges != challenges {
            placed.challenges = challenges;
            placed.answered_at = None;
            self.write(&order, version).await?;
            return Ok(Outcome::Again(Duration::ZERO));
        }
        let since = placed.answered_at.map(|before| self.now().duration_since(before));
        if since.is_some_and(|since| since < TOLD_AGAIN) {
            return Ok(self.works(&order.host, ASKS_FOR));
        }
        // Also after a crash: which edge the authority meets is not known.
        keep::wait_until_all_show(&self.shared).await?;
        placed.answered_at = Some(self.now());
        self.write(&order, version).await?;
        authority.answered(account, at).await?;
        Ok(Outcome::Again(LOOK_SOON))
    }

    async fn write(&self, order: &Order, version: Option<Version>) -> Result<(), Error> {
        let put = records::put(path::order(&order.host), order, version);
        self.shared.seat.commit(vec![put]).await?;
        Ok(())
    }

    async fn delete(&self, host: &HostName, version: Version) -> Result<(), Error> {
        let delete = Op::Delete { path: path::order(host), version };
        self.shared.seat.commit(vec![delete]).await?;
        Ok(())
    }

    fn until(&self, moment: Timestamp) -> Duration {
        let left = Duration::try_from(moment.duration_since(self.now())).unwrap_or_default();
        left.clamp(LOOK_SOON, LOOK_EVERY)
    }
}

/// When a certificate is to be replaced.
enum Due {
    /// Who gave it gives the next one.
    Never,
    At(Timestamp),
}

/// What an order's key is sealed for: never the same as for a certificate that is shown.
fn purpose(host: &HostName) -> String {
    format!("order {host}")
}

#[async_trait]
impl Reconcile for OrderReconciler {
    type Key = HostName;
    type Error = Error;

    /// Those that apps have, and those that are being asked for: they may not be wanted any more.
    async fn keys(&self) -> Result<Vec<HostName>, Error> {
        if self.shared.ports.authority.is_none() {
            return Ok(Vec::new());
        }
        let store = &*self.shared.ports.store;
        let all = routes(&self.shared).await?;
        let served = all.values().filter(|stored| stored.record.goal != RouteGoal::Removed);
        let names = served.flat_map(|stored| stored.record.edge.hosts.iter().cloned());
        let wanted: BTreeSet<HostName> = names.filter(is_public).collect();
        let mut keys = wanted.clone();
        keys.extend(orders(store).await?.into_iter().map(|stored| stored.record.host));
        let ordered = certificates(store).await?.into_iter().map(|stored| stored.record.told);
        let now = self.now();
        let expired = ordered.filter(|told| told.source == Source::Ordered && told.not_after < now);
        keys.extend(expired.map(|told| told.host));
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
        Ok(keys.into_iter().collect())
    }

    async fn reconcile(&self, host: &HostName) -> Result<Outcome, Error> {
        match &self.shared.ports.authority {
            Some(authority) => self.look_after(authority.as_ref(), host).await,
            None => Ok(Outcome::Settled),
        }
    }
}
