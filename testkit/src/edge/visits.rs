//! Requests to apps at rest: how many wait, and for how long nobody has asked.

use common::port::edge::{Table, TableRoute, Upstream, Visits};
use tokio::time::Instant;

use super::State;

impl State {
    /// Who waits goes on where there is a replica.
    pub(super) fn hold(&mut self, table: &Table) {
        let held = table.routes.iter().filter(|row| row.options.held);
        let known = std::mem::take(&mut self.visits);
        let visits = held.map(|row| {
            let (waiting, last) =
                known.get(&row.instance).copied().unwrap_or_else(|| (0, Instant::now()));
            let goes_on = waiting > 0 && !row.upstreams.is_empty();
            let visits = if goes_on { (0, Instant::now()) } else { (waiting, last) };
            (row.instance.clone(), visits)
        });
        self.visits = visits.collect();
    }

    pub(super) fn visited(&mut self, front_port: u16) {
        let rows = self.table.iter().flat_map(|table| &table.routes);
        let Some(row) = rows.into_iter().find(|row| row.front_port == front_port) else { return };
        if let Some((waiting, last)) = self.visits.get_mut(&row.instance) {
            *waiting += u32::from(row.upstreams.is_empty());
            *last = Instant::now();
        }
    }

    pub(super) fn visits_of(&self, row: &TableRoute) -> Option<Visits> {
        let (waiting, last) = *self.visits.get(&row.instance)?;
        let busy = |upstream: &Upstream| self.in_flight.get(&upstream.address()) > Some(&0);
        let is_asked = waiting > 0 || row.upstreams.iter().any(busy);
        let idle_seconds = if is_asked { 0 } else { last.elapsed().as_secs() };
        Some(Visits { waiting, idle_seconds })
    }
}
