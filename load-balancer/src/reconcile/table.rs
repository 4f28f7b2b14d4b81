//! The edge's table: read all routes, render, load if the edge has another one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading;
use chassis::lifecycle::Condition;
use chassis::reconcile::{Outcome, Reconcile};
use common::id::{Epoch, Generation};
use common::name::LegacyName;
use common::port::Edge;
use common::port::edge::{self, Status, Table, TableRoute};
use common::record::route::Route;
use tokio::time::sleep;

use super::Single;
use crate::domain::table::{Refused, Rendered, render};
use crate::records::{Kept, routes};
use crate::shared::{Served, Shared};

/// How often the edge is asked whether it still serves what it was given.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an edge that starts may take from reading its disk until it can be told.
const STARTS_WITHIN: Duration = Duration::from_millis(250);

/// Why the edge does not have the table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the edge does not take the table")]
    Edge(#[from] edge::Error),
    #[error("the routes cannot be read")]
    Records(#[from] leading::Error),
}

/// Keeps the edge's table equal to the routes.
#[derive(Debug)]
pub(crate) struct TableReconciler<'a> {
    shared: Arc<Shared>,
    /// The own edge, or for who leads both of a pair.
    edge: Arc<dyn Edge>,
    condition: &'a Condition,
    last: Mutex<Last>,
}

/// What this start has told the edge so far.
#[derive(Debug, Default)]
struct Last {
    /// The epoch and the generation that were offered last, taken or not: each offer of other routes has its own.
    epoch: Option<Epoch>,
    offered: Generation,
    /// What the edge is known to serve; forgotten when an offer fails.
    loaded: Option<Vec<TableRoute>>,
    /// Of `loaded`, what the edge did not take, and why.
    not_taken: Option<(BTreeSet<LegacyName>, String)>,
    /// The count of changes that `loaded` shows.
    changes: u64,
    /// What the edge said of itself at last.
    told: Option<Status>,
    /// What an edge that has ended is known to start with.
    left: Option<Vec<TableRoute>>,
}

impl<'a> TableReconciler<'a> {
    /// `condition` is told whether the edge serves the table.
    pub(crate) fn new(shared: Arc<Shared>, edge: Arc<dyn Edge>, condition: &'a Condition) -> Self {
        TableReconciler { shared, edge, condition, last: Mutex::default() }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring_up_to_date(&self) -> Result<(), Error> {
        let status = match self.edge.status().await {
            // Who leads has a table served, or has not done what was asked.
            Err(edge::Error::Ended) if self.shared.seat.epoch().is_none() => {
                self.leave_on_disk().await?;
                return Err(edge::Error::Ended.into());
            }
            status => status?,
        };
        self.heard(&status);
        let changes = self.shared.changes();
        if self.serves_last(&status) && self.last().changes == changes && !self.opens(&status) {
            return Ok(());
        }
        let epoch = self.shared.edge_epoch().await?;
        let all = routes(&self.shared).await.map_err(leading::Error::from)?;
        let (status, rendered) = self.rendered(status, &all).await?;
        let is_new = {
            let last = self.last();
            // Who follows tells its edge of a new leader too, though that changed nothing: what a former one says is refused.
            last.epoch != Some(epoch)
                || last.not_taken.is_some()
                || last.loaded.as_ref() != Some(&rendered.routes)
        };
        if is_new || !self.serves_last(&status) {
            self.load((epoch, &status), rendered.routes.clone()).await?;
            self.shared.edge_has(&status.ports);
        }
        self.last().changes = changes;
        self.publish(rendered, changes);
        Ok(())
    }

    /// What the edge serves from these routes with the front ports that it has. Reading them took its time: before a door
    /// is left out the edge is asked whether it has the port again.
    async fn rendered(
        &self,
        status: Status,
        all: &Kept<Route>,
    ) -> Result<(Status, Rendered), Error> {
        let of = |status: &Status| render(all.values().map(|stored| &stored.record), &status.ports);
        let rendered = of(&status);
        if !rendered.refused.values().any(Refused::is_closed) {
            return Ok((status, rendered));
        }
        let status = self.edge.status().await?;
        self.heard(&status);
        let rendered = of(&status);
        Ok((status, rendered))
    }

    /// Whether a route is kept out for a port that the edge has again, as after a start of its own with the table it had.
    fn opens(&self, status: &Status) -> bool {
        let served = self.shared.served();
        let served = served.borrow();
        served.refused.values().any(|refused| refused.is_open_again(&status.ports))
    }

    fn heard(&self, status: &Status) {
        self.shared.edge_has(&status.ports);
        self.note(status);
    }

    /// An edge that has ended sends nobody to a replica that left, once this is the table that it starts with. Without what
    /// it said before, nothing is known of its disk; and it starts with none of an epoch that is over for it.
    async fn leave_on_disk(&self) -> Result<(), Error> {
        let changes = self.shared.changes();
        let epoch = self.shared.edge_epoch().await?;
        let told = self.last().told.clone().filter(|told| told.epoch <= epoch);
        let Some(status) = told else { return Ok(()) };
        let all = routes(&self.shared).await.map_err(leading::Error::from)?;
        let rendered = render(all.values().map(|stored| &stored.record), &status.ports);
        if self.last().left.as_ref() != Some(&rendered.routes) {
            match self.load((epoch, &status), rendered.routes.clone()).await {
                Err(Error::Edge(edge::Error::Ended)) => {}
                loaded => return loaded,
            }
            // It may have read its disk just before.
            sleep(STARTS_WITHIN).await;
            if !matches!(self.edge.status().await, Err(edge::Error::Ended)) {
                return Ok(());
            }
            tracing::warn!(%epoch, routes = rendered.routes.len(), "the edge does not run; it starts with the new table");
            self.last().left = Some(rendered.routes.clone());
        }
        self.publish(rendered, changes);
        Ok(())
    }

    fn serves_last(&self, status: &Status) -> bool {
        let last = self.last();
        let served = (Some(status.epoch), status.generation);
        last.loaded.is_some() && served == (last.epoch, last.offered)
    }

    /// Under an epoch; `status` is what the edge served before.
    async fn load(
        &self,
        (epoch, status): (Epoch, &Status),
        routes: Vec<TableRoute>,
    ) -> Result<(), Error> {
        let generation = {
            let mut last = self.last();
            last.loaded = None;
            if last.epoch.replace(epoch) != Some(epoch) {
                last.offered = Generation::default();
            }
            // Who follows may have told it under this epoch before it was started again.
            if status.epoch == epoch {
                last.offered = last.offered.max(status.generation);
            }
            last.offered = last.offered.next();
            last.offered
        };
        let table = Table { epoch, generation, routes };
        let loads = &self.shared.metrics.table_loads;
        let not_taken = match self.edge.load(&table).await {
            Ok(()) => None,
            Err(edge::Error::Without { code, instances }) => Some((instances, code)),
            Err(err) => {
                loads.with_label_values(&["failed"]).inc();
                return Err(err.into());
            }
        };
        loads.with_label_values(&["loaded"]).inc();
        tracing::info!(%epoch, %generation, routes = table.routes.len(), "the edge serves a new table");
        let mut last = self.last();
        last.loaded = Some(table.routes);
        last.not_taken = not_taken;
        Ok(())
    }

    /// The next table that it takes makes its files whole again: what was lost until then has to be told now.
    fn note(&self, status: &Status) {
        let known = {
            let mut last = self.last();
            last.left = None;
            last.told.replace(status.clone()).map(|told| told.damage).unwrap_or_default()
        };
        for what in status.damage.iter().filter(|what| !known.contains(what)) {
            tracing::error!(
                what,
                "the edge found a damaged file and serves the last table that was whole"
            );
            self.shared.metrics.edge_damage.inc();
        }
    }

    fn note_refused(&self, rendered: &Rendered) {
        let known = self.shared.served();
        for (instance, refused) in &rendered.refused {
            if known.borrow().refused.get(instance) != Some(refused) {
                tracing::error!(%instance, why = %refused.why, "a route is kept out of the table");
            }
        }
    }

    fn publish(&self, rendered: Rendered, changes: u64) {
        let rendered = match &self.last().not_taken {
            Some((instances, code)) => rendered.without(instances, code),
            None => rendered,
        };
        self.note_refused(&rendered);
        let metrics = &self.shared.metrics;
        let generation = self.last().offered.0;
        metrics.table_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        metrics.routes.set(count(rendered.routes.len()));
        metrics.routes_refused.set(count(rendered.refused.len()));
        metrics.replicas_left_out.set(count(rendered.left_out.values().map(Vec::len).sum()));
        let rows = rendered.routes.into_iter().map(|row| (row.instance.clone(), row)).collect();
        let Rendered { refused, left_out, .. } = rendered;
        self.shared.now_serves(Served { changes, routes: rows, refused, left_out });
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[async_trait]
impl Reconcile for TableReconciler<'_> {
    type Key = Single;
    type Error = Error;

    async fn keys(&self) -> Result<Vec<Single>, Error> {
        // Each full scan reads the records again, whoever may have changed them.
        self.shared.records_changed();
        Ok(vec![Single])
    }

    async fn reconcile(&self, _: &Single) -> Result<Outcome, Error> {
        let result = self.bring_up_to_date().await;
        self.shared.metrics.edge_up.set(i64::from(!matches!(&result, Err(Error::Edge(_)))));
        match result {
            Ok(()) => {
                self.condition.holds();
                Ok(Outcome::Again(LOOK_EVERY))
            }
            Err(err) => {
                self.condition.fails(sentence(&err));
                Err(err)
            }
        }
    }
}

/// The error with its cause, for people at `/readyz?verbose`.
fn sentence(err: &Error) -> String {
    match std::error::Error::source(err) {
        Some(source) => format!("{err}: {source}"),
        None => err.to_string(),
    }
}
