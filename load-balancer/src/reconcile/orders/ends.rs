//! How an order ends: with a certificate, with a failure that is waited after, or as nobody wants one any more.

use std::time::Duration;

use chassis::reconcile::Outcome;
use chassis::records::{self, Stored};
use common::name::HostName;
use common::port::PublicAuthority;
use common::port::authority::Papers;
use common::port::certificates::{OrderFailure, Source};
use common::port::store::{Op, Version};
use common::record::path;
use jiff::{SignedDuration, Timestamp};

use super::told::{self, Failure, Fate};
use super::{Error, OrderReconciler, Standing, TELL_AGAIN};
use crate::commands::certificates as keep;
use crate::records::{Certificate, Order, order};

impl OrderReconciler {
    /// Writes the certificate over the one before, if that is still there, and ends the order with it.
    pub(super) async fn keep(
        &self,
        Order { host, mut owed, .. }: Order,
        papers: &Papers,
        version: Option<Version>,
        shown: Option<Version>,
    ) -> Result<Outcome, Error> {
        let record = keep::record(&self.shared, &host, papers, Source::Ordered)?;
        owed.push(told::made(&record.told));
        let over = Order { owed, ..Order::new(host.clone()) };
        let put = records::put(path::certificate(&host), &record, shown);
        let end = records::put(path::order(&host), &over, version);
        self.shared.seat.commit(vec![put, end]).await?;
        keep::note(&record.told);
        self.shared.metrics.orders.with_label_values(&["made"]).inc();
        self.shared.certificates_changed();
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// Writes down that it failed, so that whoever looks next, also after a crash, waits.
    pub(super) async fn note(
        &self,
        authority: &dyn PublicAuthority,
        host: &HostName,
        err: Error,
        used: Option<Version>,
    ) -> Result<Outcome, Error> {
        let directory = authority.directory();
        let Some(failure) = Failure::of(&err, host, directory) else { return Err(err) };
        // The step that failed may have written.
        let (mut order, version) = match order(&*self.shared.ports.store, host).await? {
            Some(Stored { record, version }) => (record, Some(version)),
            None => (Order::new(host.clone()), None),
        };
        let now = self.now();
        let is_of_this = order.failed_at.as_deref().is_none_or(|one| one == directory);
        let before = order.failed.take().filter(|_| is_of_this);
        let is_news = before.as_ref().is_none_or(|before| before.problem != failure.problem);
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let wait = SignedDuration::try_from(failure.wait_after(times)).unwrap_or_default();
        let next_try = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        tracing::warn!(%host, code = failure.code, problem = failure.problem, %next_try, "a host name has no new certificate");
        if is_news {
            order.owed.push(told::failed(host, &failure, now));
        }
        if failure.order == Fate::Over {
            order.placed = None;
        }
        let Failure { code, problem, hint, .. } = failure;
        order.failed = Some(OrderFailure { times, code: code.to_owned(), problem, hint, next_try });
        order.failed_at = Some(directory.to_owned());
        let mut changes = vec![records::put(path::order(host), &order, version)];
        if matches!(&err, Error::Authority(err) if err.is_unknown_account()) {
            changes.extend(self.without(used).await?);
        }
        self.shared.seat.commit(changes).await?;
        self.shared.certificates_changed();
        self.shared.metrics.orders.with_label_values(&["failed"]).inc();
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// Clears exactly what was published.
    pub(super) async fn told(
        &self,
        Standing { mut order, version }: Standing,
    ) -> Result<Outcome, Error> {
        order.owed.clear();
        match version {
            Some(version) if order.is_over() => self.delete(&order.host, version).await?,
            version => self.write(&order, version).await?,
        }
        Ok(Outcome::Again(Duration::ZERO))
    }

    /// There is nothing to ask for. What failed is remembered until it would be tried again, as a host name may come back
    /// sooner, and what is owed until it is told.
    pub(super) async fn rest(
        &self,
        standing: Standing,
        outcome: Outcome,
    ) -> Result<Outcome, Error> {
        let Standing { mut order, version: Some(version) } = standing else { return Ok(outcome) };
        let was_placed = order.placed.take().is_some();
        let next_try = self.next_try(&order);
        let outcome = if next_try.is_none() && order.owed.is_empty() {
            self.delete(&order.host, version).await?;
            outcome
        } else {
            if was_placed || !order.rests {
                order.rests = true;
                self.write(&order, Some(version)).await?;
            }
            Outcome::Again(next_try.map_or(TELL_AGAIN, |next_try| self.until(next_try)))
        };
        if was_placed {
            self.shared.certificates_changed();
        }
        Ok(outcome)
    }

    /// Of a certificate that nobody gave and no app asks for there is no next one: the edge has room for so many.
    pub(super) async fn clear_away(&self, shown: Option<Stored<Certificate>>) -> Result<(), Error> {
        let Some(Stored { record: Certificate { told, .. }, version }) = shown else {
            return Ok(());
        };
        if told.source == Source::Ordered && told.not_after < self.now() {
            let delete = Op::Delete { path: path::certificate(&told.host), version };
            self.shared.seat.commit(vec![delete]).await?;
            tracing::info!(host = %told.host, not_after = %told.not_after, "a certificate that no app asks for has expired, and was removed");
            self.shared.certificates_changed();
        }
        Ok(())
    }
}
