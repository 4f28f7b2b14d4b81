//! The edge's table: read all routes, render, load if the edge has another one.

use std::mem::replace;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chassis::leading;
use chassis::lifecycle::Condition;
use chassis::reconcile::{Outcome, Reconcile};
use common::id::{Epoch, Generation};
use common::port::Edge;
use common::port::edge::{self, Status, Table, TableRoute};

use super::Single;
use crate::domain::table::{Rendered, render};
use crate::records::routes;
use crate::shared::{Served, Shared};

/// How often the edge is asked whether it still serves what it was given.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    /// The count of changes that `loaded` shows.
    changes: u64,
    /// What the edge said at last of files that it could not read.
    damage: Vec<String>,
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
        let status = self.edge.status().await?;
        self.shared.edge_has(&status.ports);
        self.note_damage(&status);
        let changes = self.shared.changes();
        if self.serves_last(&status) && self.last().changes == changes {
            return Ok(());
        }
        let epoch = self.shared.edge_epoch().await?;
        let all = routes(&*self.shared.ports.store).await.map_err(leading::Error::from)?;
        let rendered = render(all.iter().map(|stored| &stored.record), &status.ports);
        self.note_refused(&rendered);
        let is_new = self.last().loaded.as_ref() != Some(&rendered.routes);
        if is_new || !self.serves_last(&status) {
            self.load((epoch, &status), rendered.routes.clone()).await?;
            self.shared.edge_has(&status.ports);
        }
        self.last().changes = changes;
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
        if let Err(err) = self.edge.load(&table).await {
            loads.with_label_values(&["failed"]).inc();
            return Err(err.into());
        }
        loads.with_label_values(&["loaded"]).inc();
        tracing::info!(%epoch, %generation, routes = table.routes.len(), "the edge serves a new table");
        self.last().loaded = Some(table.routes);
        Ok(())
    }

    /// The next table that it takes makes its files whole again: what was lost until then has to be told now.
    fn note_damage(&self, status: &Status) {
        let known = replace(&mut self.last().damage, status.damage.clone());
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
        let metrics = &self.shared.metrics;
        let generation = self.last().offered.0;
        metrics.table_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        metrics.routes.set(count(rendered.routes.len()));
        metrics.routes_refused.set(count(rendered.refused.len()));
        let rows = rendered.routes.into_iter().map(|row| (row.instance.clone(), row)).collect();
        self.shared.now_serves(Served { changes, routes: rows, refused: rendered.refused });
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
        self.shared.table_changed();
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
